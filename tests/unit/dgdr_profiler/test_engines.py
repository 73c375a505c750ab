"""Graphs of engines against goldens; ``UPDATE_GOLDENS=1 pytest`` writes them anew."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from dgdr_api.codec_v1beta1 import decode, encode
from dgdr_api.effective import EffectiveModelCache
from dgdr_api.graph import Graph, Role
from dgdr_api.models.profiling_policy import MockerCandidates
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.engine import Engine
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.render import to_yaml
from dgdr_profiler.engines.mocker import Mocker, of_policy
from dgdr_profiler.engines.vllm import Vllm

GOLDEN = Path(__file__).parents[2] / "golden" / "engines"

VLLM = Vllm(image="images.test/vllm-runtime:1.0.2", model="Qwen/Qwen3-8B")
CACHED = Vllm(
    image="images.test/vllm-runtime:1.0.2",
    model="Qwen/Qwen3-8B",
    cache=EffectiveModelCache(
        pvc_name="weights", mount_path="/opt/model-cache", model_path="/opt/model-cache/qwen"
    ),
    trust_remote_code=True,
)
MOCKER = of_policy(
    MockerCandidates(speedup_ratio=0.25, kv_blocks=1024), "images.test/mocker:dev", "IfNotPresent"
)
MEASURED = Mocker(
    image="images.test/mocker:dev",
    data="planner-profile-data-1a2b3c4d",
    measured=True,
    kv_blocks=1024,
)


def mapped(engine: Engine, gpus: int, graph: Graph | None = None) -> Graph:
    graph = graph or engine.template("q-p")
    for role in (Role.PREFILL, Role.DECODE):
        graph = engine.with_mapping(graph, role, Candidate(tensor_parallel=gpus))
    return graph


def check(graph: Graph, name: str) -> None:
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDENS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(to_yaml([encode(graph)]))
    assert encode(graph) == yaml.safe_load(file.read_text())


@pytest.mark.parametrize(
    ("engine", "gpus", "name"),
    [
        (VLLM, 1, "vllm/tp1"),
        (VLLM, 4, "vllm/tp4"),
        (CACHED, 2, "vllm/tp2-model-cache"),
        (MOCKER, 2, "mocker/candidate-tp2"),
        (MEASURED, 2, "mocker/final-tp2"),
    ],
)
def test_the_graph_of_an_engine(engine: Engine, gpus: int, name: str) -> None:
    check(mapped(engine, gpus), name)


def test_a_users_own_parallelism_is_replaced_in_every_spelling() -> None:
    graph = VLLM.template("q")
    (worker,) = graph.with_role(Role.DECODE)
    own = ("-tp", "8", "--tensor-parallel-size=16", "--max-model-len", "8192")
    graph = graph.with_component(worker.with_(args=(*worker.args, *own)))
    (mapped_worker,) = mapped(VLLM, 2, graph).with_role(Role.DECODE)
    assert mapped_worker.args == (
        *worker.args,
        "--max-model-len",
        "8192",
        "--tensor-parallel-size",
        "2",
    )


@pytest.mark.parametrize("engine", [VLLM, MOCKER])
def test_mapping_twice_is_mapping_once(engine: Engine) -> None:
    once = mapped(engine, 2)
    assert mapped(engine, 2, once) == once
    assert mapped(engine, 4, once) == mapped(engine, 4)


@pytest.mark.parametrize("engine", [VLLM, CACHED, MOCKER, MEASURED])
def test_a_graph_survives_its_manifest(engine: Engine) -> None:
    manifest = encode(mapped(engine, 4))
    assert encode(decode(manifest)) == manifest


def test_other_arguments_and_resources_stay() -> None:
    manifest: dict[str, Any] = encode(mapped(VLLM, 4))
    decode_worker = next(c for c in manifest["spec"]["components"] if c["name"] == "decode")
    (main,) = decode_worker["podTemplate"]["spec"]["containers"]
    assert main["resources"] == {
        "requests": {"ephemeral-storage": "2Gi"},
        "limits": {"nvidia.com/gpu": "4"},
    }


def test_a_graph_without_the_role_is_refused() -> None:
    graph = VLLM.template("q")
    alone = graph.with_(components=graph.with_role(Role.FRONTEND))
    with pytest.raises(InvalidRequest, match="no component of type prefill"):
        VLLM.with_mapping(alone, Role.PREFILL, Candidate(tensor_parallel=2))


@pytest.mark.parametrize(
    ("path", "name", "folder"),
    [("/model", "model", "/"), ("/models/org/name", "org/name", "/models")],
)
def test_both_processes_run_where_the_model_has_its_name(path: str, name: str, folder: str) -> None:
    graph = Mocker(image="i", data="d", model_path=path, model_name=name).template("q")
    assert {c.working_dir for c in graph.components} == {folder}


@pytest.mark.parametrize(("path", "name"), [("/model", "tiny"), ("/mymodel", "model"), ("m", "m")])
def test_a_model_name_that_the_frontend_would_not_find_is_refused(path: str, name: str) -> None:
    with pytest.raises(InvalidRequest, match="must be the end of modelPath"):
        Mocker(image="i", data="d", model_path=path, model_name=name).template("q")


def test_a_mocker_without_gpus_asks_for_none() -> None:
    engine = Mocker(image="i", data="d", with_gpus=False)
    assert mapped(engine, 4).gpus == 0
