"""Mappings and shapes: their GPUs, and names that no two of them share."""

from itertools import product

import pytest

from dgdr_profiler.core.shape import Mapping, Shape

DEGREES = (1, 2, 4, 8)
MAPPINGS = [
    Mapping(tp=tp, pp=pp, dp=dp, moe_tp=moe_tp, moe_ep=moe_ep, nodes=nodes)
    for tp, pp, dp, moe_tp, moe_ep, nodes in product(
        DEGREES, (1, 2), DEGREES, DEGREES, DEGREES, (1, 2)
    )
]


@pytest.mark.parametrize(
    ("mapping", "gpus", "label", "name"),
    [
        pytest.param(Mapping.tensor(1), 1, "TP=1", "tp1", id="one GPU"),
        pytest.param(Mapping.tensor(6), 6, "TP=6", "tp6", id="TP"),
        pytest.param(Mapping.tensor_expert(8), 8, "TEP=8", "tep8", id="TEP"),
        pytest.param(Mapping.data_expert(8), 8, "DEP=8", "dep8", id="DEP"),
        pytest.param(
            Mapping.data_expert(16, nodes=2), 16, "DEP=16 on 2 nodes", "dep16-n2", id="two nodes"
        ),
        pytest.param(
            Mapping(tp=4, dp=2, moe_ep=8), 8, "TP=4-PP=1-DP=2-ETP=1-EP=8", "tp4-pp1-dp2-etp1-ep8",
            id="mixed",
        ),
    ],
)  # fmt: skip
def test_a_mapping_is_called_what_it_does(
    mapping: Mapping, gpus: int, label: str, name: str
) -> None:
    assert (mapping.gpus, mapping.label, mapping.id) == (gpus, label, name)


def test_no_two_mappings_share_a_name() -> None:
    assert len({m.id for m in MAPPINGS}) == len({m.label for m in MAPPINGS}) == len(set(MAPPINGS))


def test_no_two_shapes_share_a_name() -> None:
    few = [Mapping.tensor(1), Mapping.tensor(4), Mapping.tensor_expert(4), Mapping.data_expert(4)]
    shapes = {
        *(Shape(worker=m) for m in few),
        *(Shape(prefill=m) for m in few),
        *(Shape(decode=m) for m in few),
        *(Shape.pair(p, d) for p, d in product(few, few)),
    }
    assert len({s.id for s in shapes}) == len({s.label for s in shapes}) == len(shapes)


def test_a_pair_holds_the_gpus_of_both() -> None:
    pair = Shape.pair(Mapping.tensor(4), Mapping.data_expert(8))
    assert (pair.gpus, pair.largest, pair.is_aggregated) == (12, Mapping.data_expert(8), False)


def test_a_pod_of_several_nodes_asks_for_its_share() -> None:
    assert Mapping.tensor(12, nodes=2).gpus_per_node == 6
