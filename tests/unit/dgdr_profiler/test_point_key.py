from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.graph import Component, Graph, Role
from dgdr_profiler.core import point_key as keys
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.point_key import engine_key, engines_of, point_key
from support.profiling import TP1, TP2, subject

CELL = decode_cell(2048, 96, 8)
KEY = point_key(subject(TP1), "sha256:a", CELL)


def test_the_same_measurement_has_the_same_key_for_ever() -> None:
    assert KEY == "24c3bcef12ef0a1f"


@pytest.mark.parametrize(
    "other",
    [
        point_key(subject(TP2), "sha256:a", CELL),
        point_key(replace(subject(TP1), model="other"), "sha256:a", CELL),
        point_key(replace(subject(TP1), gpu_product="NVIDIA-L4"), "sha256:a", CELL),
        point_key(replace(subject(TP1), gpu_product=None), "sha256:a", CELL),
        point_key(replace(subject(TP1), data="other"), "sha256:a", CELL),
        point_key(replace(subject(TP1), engines=subject(TP1).engines[:1]), "sha256:a", CELL),
        point_key(subject(TP1), "sha256:b", CELL),
        point_key(subject(TP1), "sha256:a", decode_cell(2048, 96, 9)),
        point_key(subject(TP1), "sha256:a", decode_cell(2047, 96, 8)),
        point_key(subject(TP1), "sha256:a", prefill_cell(2048)),
    ],
)
def test_whatever_determines_a_result_changes_the_key(other: str) -> None:
    assert other != KEY


def test_another_way_of_measuring_is_another_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    before = engine_key(subject(TP1), "sha256:a")
    monkeypatch.setattr(keys, "PROCEDURE", keys.PROCEDURE + 1)
    assert engine_key(subject(TP1), "sha256:a") != before


def graph(**worker: Any) -> Graph:
    main = Component(name="decode", role=Role.DECODE, args=("--x",), gpus=1).with_(**worker)
    return Graph(name="q", components=(Component(name="frontend", role=Role.FRONTEND), main))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(graph(args=("--x", "1")), id="arguments"),
        pytest.param(graph(gpus=2), id="GPUs"),
        pytest.param(graph(nodes=2), id="nodes"),
        pytest.param(graph(env=({"name": "A", "value": "1"},)), id="environment"),
        pytest.param(graph().with_(env=({"name": "A", "value": "1"},)), id="graph's environment"),
        pytest.param(
            graph(container={"resources": {"limits": {"cpu": "4", "memory": "8Gi"}}}), id="limits"
        ),
        pytest.param(graph(shared_memory_size="8Gi"), id="shared memory"),
        pytest.param(graph(pod={"nodeSelector": {"pool": "b"}}), id="nodes' choice"),
        pytest.param(graph(role=Role.PREFILL), id="role"),
    ],
)
def test_whatever_determines_an_engine_is_part_of_it(other: Graph) -> None:
    assert engines_of(other) != engines_of(graph())


def test_what_does_not_make_an_engine_faster_is_not_part_of_it() -> None:
    same = graph(labels={"team": "x"}, pod={"terminationGracePeriodSeconds": 1}, replicas=3)
    assert engines_of(same.with_(name="other")) == engines_of(graph())


def test_a_secret_is_known_by_its_name() -> None:
    secret = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
    (engine,) = engines_of(graph(env=(secret,)))
    assert '"name":"hub"' in engine.pod


def test_prefill_does_not_depend_on_the_answer() -> None:
    assert prefill_cell(2048).osl == 0
