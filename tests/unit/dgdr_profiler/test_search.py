"""Which shapes are tried, which are not, and what is said about it."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.effective import effective
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.limits import SearchLimits
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.obstacles import ReasonCode
from dgdr_profiler.core.prior import by_promise
from dgdr_profiler.core.search import Infeasible, SearchSpace, search, summary
from dgdr_profiler.core.shape import Mapping, Shape
from support.model_configs import NAMES, model
from support.profiling import pair

MIB = 2**20
H100, H200, L4 = 81_559 * MIB, 143_771 * MIB, 23_034 * MIB

# Two requests after public reports.
SHORT = """
model: org/model-8b
backend: vllm
image: registry.test/vllm-runtime:1.0.2
"""
LARGE = """
model: deepseek-ai/DeepSeek-R1
backend: vllm
image: registry.test/vllm-runtime:1.0.2
hardware: {vramMb: 81559}
"""


def limits_of(text: str) -> SearchLimits:
    wanted = effective(DGDRSpec.model_validate(yaml.safe_load(text)))
    return SearchLimits(
        gpus_per_node=wanted.gpus_per_node,
        gpus_at_once=wanted.total_gpus,
        gpu_memory_bytes=None if wanted.vram_mib is None else round(wanted.vram_mib) * MIB,
        isl=wanted.isl,
        osl=wanted.osl,
        backend=wanted.backend,
    )


def labels(space: SearchSpace) -> list[str]:
    return [shape.label for shape in space.shapes]


def codes(space: SearchSpace) -> dict[str, ReasonCode]:
    return {entry.shape.label: entry.code for entry in space.infeasible}


@pytest.mark.parametrize(
    ("limits", "tried"),
    [
        pytest.param(SearchLimits(gpus_per_node=8), [1, 2, 4, 8], id="a whole node"),
        pytest.param(SearchLimits(), [1, 2, 4], id="nothing known"),
        pytest.param(SearchLimits(gpus_per_node=8, max_engine_gpus=4), [1, 2, 4], id="policy"),
        pytest.param(SearchLimits(gpus_per_node=8, min_engine_gpus=3), [4, 8], id="odd minimum"),
        pytest.param(SearchLimits(gpus_per_node=6), [1, 2, 4], id="odd node"),
    ],
)
def test_of_an_unknown_model_powers_of_two_are_tried(
    limits: SearchLimits, tried: list[int]
) -> None:
    assert search(limits).shapes == tuple(Shape.pair(Mapping.tensor(n)) for n in tried)


def test_a_pair_that_is_too_large_is_measured_one_role_at_a_time() -> None:
    space = search(SearchLimits(max_engine_gpus=4, min_engine_gpus=2, gpus_at_once=4))
    two, four = Mapping.tensor(2), Mapping.tensor(4)
    assert space.shapes == (Shape.pair(two), Shape(prefill=four), Shape(decode=four))


def test_one_gpu_is_enough_for_an_aggregated_engine() -> None:
    space = search(SearchLimits(gpus_per_node=1, gpus_at_once=1, aggregated=True))
    one = Mapping.tensor(1)
    assert space.shapes == (Shape(prefill=one), Shape(decode=one), Shape(worker=one))


def test_aggregated_engines_are_tried_where_that_is_asked_for_alone() -> None:
    asked = search(SearchLimits(aggregated=True))
    silent = search(SearchLimits())
    assert [s for s in asked.shapes if not s.is_aggregated] == list(silent.shapes)
    assert sum(s.is_aggregated for s in asked.shapes) == 3


@pytest.mark.parametrize(
    ("name", "tried"),
    [
        pytest.param("llama-3.1-8b", ["TP=1", "TP=2", "TP=4", "TP=8"], id="dense"),
        pytest.param("deepseek-v2-lite", ["TP=1", "TEP=2", "DEP=2", "TEP=4", "DEP=4"], id="latent"),
        pytest.param("gpt-oss-20b", ["TP=1", "TEP=2", "DEP=2", "TP=2"], id="grouped queries"),
        pytest.param("mistral-7b", ["TP=1", "TP=2", "TP=4", "TP=8"], id="with a window"),
    ],
)
def test_what_is_tried_follows_from_the_kind_of_model(name: str, tried: list[str]) -> None:
    assert labels(search(SearchLimits(gpus_per_node=8), model(name)))[: len(tried)] == tried


def test_every_number_that_divides_is_tried_not_only_powers_of_two() -> None:
    facts = ModelFacts(layers=4, heads=12, kv_heads=12, head_size=64, intermediate=3072)
    space = search(SearchLimits(gpus_per_node=8), facts)
    assert labels(space) == ["TP=1", "TP=2", "TP=3", "TP=4", "TP=6"]
    assert codes(space) == {"TP=8": ReasonCode.HEADS_DO_NOT_DIVIDE}


def test_an_engine_with_14_heads_has_no_tensor_parallelism_of_4() -> None:
    facts = ModelFacts(layers=24, heads=14, kv_heads=2, head_size=64, intermediate=4864)
    space = search(SearchLimits(gpus_per_node=8), facts)
    assert labels(space) == ["TP=1", "TP=2"]
    reasons = {e.shape.label: e.reason for e in space.infeasible}
    assert reasons["TP=4"] == "14 attention heads do not divide by 4"


def test_kv_heads_may_be_repeated() -> None:
    # 4 KV heads.
    assert "TP=8" in labels(search(SearchLimits(gpus_per_node=8), model("qwen3-30b-a3b")))


def test_experts_that_do_not_divide_are_named() -> None:
    facts = ModelFacts(heads=64, kv_heads=8, experts=60, moe_intermediate=1408)
    space = search(SearchLimits(gpus_per_node=8, min_engine_gpus=5), facts)
    assert labels(space) == ["DEP=5", "DEP=6", "TP=8"]
    assert codes(space)["DEP=8"] is ReasonCode.EXPERTS_DO_NOT_DIVIDE


def test_a_shard_that_is_no_multiple_of_the_quantisation_block_is_refused() -> None:
    limits = SearchLimits(gpus_per_node=8, gpu_memory_bytes=H100)
    space = search(limits, model("qwen3-235b-a22b-fp8"))
    assert codes(space)["TP=8"] is ReasonCode.QUANT_BLOCK
    assert {"TEP=8", "DEP=8", "TP=4"} <= set(labels(space))


def test_engines_larger_than_a_node_take_whole_nodes() -> None:
    limits = SearchLimits(gpus_per_node=8, gpus_at_once=32, gpu_memory_bytes=H100)
    space = search(limits, model("deepseek-v3"))
    assert [s.label for s in space.shapes] == [
        "TEP=16 on 2 nodes",
        "DEP=16 on 2 nodes",
        "prefill DEP=32 on 4 nodes",
        "decode DEP=32 on 4 nodes",
    ]
    assert all(s.largest.gpus_per_node == 8 for s in space.shapes)
    # A 32nd of a shared expert is half a block.
    assert codes(space)["TEP=32 on 4 nodes"] is ReasonCode.QUANT_BLOCK


def test_nodes_are_not_made_up() -> None:
    space = search(SearchLimits(gpus_per_node=8, gpu_memory_bytes=H200), model("kimi-k2"))
    assert codes(space)["DEP=16 on 2 nodes"] is ReasonCode.NODES_UNKNOWN


def test_a_part_of_a_node_is_no_place_for_an_engine_of_several() -> None:
    space = search(SearchLimits(gpus_per_node=6, max_engine_gpus=8))
    assert codes(space) == {"TP=8 on 2 nodes": ReasonCode.PART_OF_NODE}


def test_a_request_longer_than_the_context_is_refused_before_anything_is_deployed() -> None:
    with pytest.raises(InvalidRequest) as refused:
        search(limits_of(SHORT), model("phi-3-mini"))
    assert str(refused.value) == (
        "no candidate is feasible: TP=1, TP=2, TP=4: a request of ISL 4000 and OSL 1000 has 5000 "
        "tokens, but the model's context is 4096"
    )


def test_671_billion_parameters_are_not_tried_on_gpus_of_80_gb() -> None:
    with pytest.raises(InvalidRequest) as refused:
        search(limits_of(LARGE), model("deepseek-r1"))
    said = str(refused.value)
    assert "TP=1: 627 GiB of weights on each GPU do not fit its 79.6 GiB" in said
    assert "TEP=8: 78.3 GiB of weights and 3.2 GiB besides on each GPU do not fit" in said
    assert "TEP=16 on 2 nodes, DEP=16 on 2 nodes: an engine of 16 GPUs takes 2 nodes" in said


def test_with_two_nodes_671_billion_parameters_run_on_both() -> None:
    limits = SearchLimits(gpus_per_node=8, gpus_at_once=16, gpu_memory_bytes=H100)
    space = search(limits, model("deepseek-r1"))
    assert {s.largest.label for s in space.shapes} == {"TEP=16 on 2 nodes", "DEP=16 on 2 nodes"}
    assert summary(space) == (
        "2 of 9 shapes are possible; TP=1: 627 GiB of weights on each GPU do not fit its 79.6 GiB; "
        "likewise TEP=2, DEP=2, TEP=4, DEP=4 and 2 more"
    )


def test_the_cache_must_hold_more_than_one_request() -> None:
    limits = SearchLimits(
        gpus_per_node=1, gpu_memory_bytes=L4, isl=100_000, osl=1000, gpus_at_once=1
    )
    with pytest.raises(InvalidRequest, match=r"left for KV on a GPU, which hold 0 of at least 2"):
        search(limits, model("llama-3.1-8b"))


def test_what_is_unknown_is_in_nobodys_way() -> None:
    limits = SearchLimits(gpus_per_node=8, gpu_memory_bytes=L4, isl=4000, osl=1000)
    assert labels(search(limits, ModelFacts())) == ["TP=1", "TP=2", "TP=4", "TP=8"]


def test_limits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="minGpusPerEngine is 8, but the largest"):
        search(SearchLimits(min_engine_gpus=8, max_engine_gpus=4))


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        (None, "no power of two lies between minGpusPerEngine 5 and maxGpusPerEngine 7"),
        (ModelFacts(heads=32), "no number that divides the model's heads or experts, lies between"),
    ],
)
def test_limits_that_leave_nothing_are_refused(facts: ModelFacts | None, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        search(SearchLimits(min_engine_gpus=5, max_engine_gpus=7), facts)


def test_a_limit_of_two_thousand_million_gpus_takes_no_time() -> None:
    space = search(SearchLimits(max_engine_gpus=2**31 - 1, gpus_per_node=8, gpus_at_once=8))
    assert len(space.infeasible) == 27


def test_a_nonsensical_number_of_heads_takes_no_time_either() -> None:
    facts = ModelFacts(heads=10**15, experts=10**15)
    space = search(SearchLimits(max_engine_gpus=2**31 - 1, gpus_per_node=8), facts)
    assert space.shapes


def test_a_refused_shape_leaves_the_search_with_its_reason() -> None:
    one, two = (Shape.pair(Mapping.tensor(n)) for n in (1, 2))
    entry = Infeasible(shape=two, code=ReasonCode.NO_DATA, reason="no data")
    space = search(SearchLimits(max_engine_gpus=2)).without((entry,))
    assert space.shapes == (one,)
    assert entry in space.infeasible


def test_a_space_of_which_nothing_is_left_is_refused_with_its_reasons() -> None:
    entry = Infeasible(
        shape=Shape.pair(Mapping.tensor(1)), code=ReasonCode.NO_DATA, reason="no data"
    )
    space = search(SearchLimits(max_engine_gpus=1)).without((entry,))
    with pytest.raises(InvalidRequest, match="no candidate is feasible: TP=1: no data"):
        space.required()


def test_a_summary_that_is_too_long_says_what_it_leaves_out() -> None:
    entries = tuple(
        Infeasible(shape=Shape.pair(Mapping.tensor(n)), code=code, reason="x" * 140)
        for n, code in enumerate(ReasonCode, 1)
    )
    said = summary(SearchSpace(shapes=(), infeasible=entries))
    assert said.endswith(f"; and {len(ReasonCode) - 3} more reasons")
    assert said.startswith(f"0 of {len(ReasonCode)} shapes are possible; TP=1: xxx")


def apart(gpus: int, **only: bool) -> tuple[Infeasible, ...]:
    mapping = Mapping.tensor(gpus)
    shapes = (Shape(prefill=mapping), Shape(decode=mapping), Shape(worker=mapping))
    return tuple(
        Infeasible(shape=shape, code=ReasonCode.OVER_BUDGET, reason="too large")
        for shape in shapes
        if only.get("worker", True) or not shape.is_aggregated
    )


def test_a_mapping_whose_roles_are_measured_apart_is_named_once() -> None:
    said = summary(SearchSpace(shapes=(), infeasible=(*apart(4), *apart(8))))
    assert said == "0 of 2 shapes are possible; TP=4: too large; likewise TP=8"


def test_a_mapping_that_one_role_may_have_is_named_with_the_others() -> None:
    there = Shape(worker=Mapping.tensor(8))
    said = summary(SearchSpace(shapes=(there,), infeasible=apart(8, worker=False)))
    assert said == "1 of 1 shapes are possible; prefill and decode TP=8: too large"


limits_strategy = st.builds(
    SearchLimits,
    min_engine_gpus=st.integers(1, 4),
    max_engine_gpus=st.none() | st.integers(4, 64),
    gpus_per_node=st.none() | st.sampled_from([1, 2, 4, 6, 8, 16]),
    gpus_at_once=st.none() | st.integers(1, 64),
    gpu_memory_bytes=st.none() | st.sampled_from([L4, H100, H200]),
    isl=st.none() | st.integers(1, 20_000),
    osl=st.none() | st.integers(1, 20_000),
    aggregated=st.booleans(),
)


@given(limits=limits_strategy, name=st.none() | st.sampled_from(NAMES))
def test_nothing_that_is_tried_breaks_a_limit_and_nothing_is_lost(
    limits: SearchLimits, name: str | None
) -> None:
    try:
        space = search(limits, None if name is None else model(name))
    except InvalidRequest:
        return
    assert all(limits.gpus_at_once is None or s.gpus <= limits.gpus_at_once for s in space.shapes)
    assert len({s.id for s in space.shapes}) == len(space.shapes)
    refused = {e.shape.largest for e in space.infeasible}
    assert not refused & {s.largest for s in space.shapes}
    for mapping in {s.largest for s in space.shapes} | refused:
        assert mapping.gpus >= limits.min_engine_gpus
        assert mapping.nodes == -(-mapping.gpus // limits.node_gpus)
    assert len(summary(space)) <= 512


def test_the_smallest_engine_comes_first() -> None:
    candidates = [pair(n) for n in (4, 1, 2)]
    assert [c.label for c in by_promise(candidates)] == ["TP=1", "TP=2", "TP=4"]
