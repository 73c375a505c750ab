"""Graphs of mockers: which model they serve, which data feeds them."""

from typing import Any

import pytest

from dgdr_api.effective import EffectiveModelCache
from dgdr_api.gpus import graph_gpus
from dgdr_api.graph import Graph
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.models.profiling_policy import MockerCandidates, ProfilingPolicySpec
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines.mocked_model import MockedModel, in_image
from dgdr_profiler.engines.mocker import LAUNCHER, STOCK, Mocker, of_policy, profile_key
from dgdr_profiler.engines.source import ModelSource
from support.engines import (
    MAPPINGS,
    OVER_TWO_NODES,
    TP2,
    check,
    check_v1alpha1,
    engine_of,
    shapes,
)

SETTINGS = MockerCandidates(speedup_ratio=0.25, kv_blocks=1024)
PAIR = Shape.pair(Mapping.tensor(2))


def mocker(
    settings: MockerCandidates = SETTINGS,
    cache: EffectiveModelCache | None = None,
    gb_per_s: float | None = None,
) -> Mocker:
    source = ModelSource(model="org/model-8b", cache=cache)
    policy = ProfilingPolicySpec(mocker=settings, kv_transfer_gb_per_s=gb_per_s)
    return of_policy(policy, "images.test/mocker:dev", "IfNotPresent", source)


def claim(folder: str | None) -> EffectiveModelCache:
    return EffectiveModelCache(pvc_name="weights", mount_path="/cache", model_path=folder)


MEASURED = Mocker(
    image="images.test/mocker:dev",
    data="planner-profile-data-1a2b3c4d",
    measured=True,
    kv_blocks=1024,
)


def test_mockers_of_candidates_and_of_the_deployment() -> None:
    check(mocker().template("q-p", PAIR), "mocker/candidate-tp2")
    check(MEASURED.template("q-p", PAIR), "mocker/final-tp2")
    check_v1alpha1(MEASURED.template("q-p", PAIR), "mocker/final-tp2")


@pytest.mark.parametrize("mode", ["agg", "pair", "prefill", "decode"])
@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda mapping: mapping.id)
def test_the_graph_of_mockers(mapping: Mapping, mode: str) -> None:
    check(mocker().template("q-c", shapes(mapping)[mode]), f"mocker/{mode}-{mapping.id}")


@pytest.mark.parametrize("mode", ["agg", "pair", "prefill", "decode"])
@pytest.mark.parametrize("mapping", [TP2, OVER_TWO_NODES], ids=lambda mapping: mapping.id)
def test_the_graph_of_mockers_in_v1alpha1(mapping: Mapping, mode: str) -> None:
    check_v1alpha1(mocker().template("q-c", shapes(mapping)[mode]), f"mocker/{mode}-{mapping.id}")


@pytest.mark.parametrize("engine", [mocker(), MEASURED])
def test_fitting_twice_is_fitting_once(engine: Mocker) -> None:
    once = engine.template("q", PAIR)
    assert engine.with_shape(once, PAIR) == once
    four = Shape.pair(Mapping.tensor(4))
    assert engine.with_shape(once, four) == engine.template("q", four)


@pytest.mark.parametrize(
    ("mapping", "key"),
    [
        (Mapping.tensor(4), "tp-4.npz"),
        (Mapping.tensor_expert(8), "tep-8.npz"),
        (Mapping.data_expert(16, nodes=2), "dep-16-n2.npz"),
    ],
)
def test_each_mapping_has_data_of_its_own(mapping: Mapping, key: str) -> None:
    assert profile_key(mapping) == key


@pytest.mark.parametrize(
    ("image", "command"),
    [
        pytest.param("r.test/vllm-runtime:1.6.1", STOCK, id="a release that needs no NATS"),
        pytest.param("r.test/dynamo-mocker:dev", STOCK, id="ours, of the newest release"),
        pytest.param("r.test/vllm-runtime:1.0.2", LAUNCHER, id="one that asks for it"),
        pytest.param("r.test/dynamo-mocker:1.0-dev", LAUNCHER, id="ours of such a release"),
    ],
)
def test_a_mocker_is_started_the_way_its_release_can(image: str, command: tuple[str, ...]) -> None:
    graph = Mocker(image=image, data="d").template("q", PAIR)
    assert [engine_of(graph, name).command for name in ("prefill", "decode")] == [command] * 2


@pytest.mark.parametrize(
    ("image", "backend", "played"),
    [
        pytest.param("r.test/dynamo-mocker:dev", Backend.VLLM, False, id="what it plays anyhow"),
        pytest.param("r.test/dynamo-mocker:dev", Backend.TRTLLM, True, id="the newest"),
        pytest.param("r.test/vllm-runtime:1.1.0", Backend.SGLANG, True, id="1.1 plays SGLang"),
        pytest.param("r.test/vllm-runtime:1.1.0", Backend.TRTLLM, False, id="and no other"),
        pytest.param("r.test/dynamo-mocker:1.0-dev", Backend.SGLANG, False, id="1.0 plays vLLM"),
    ],
)
def test_a_mocker_plays_the_backend_where_its_release_can(
    image: str, backend: Backend, played: bool
) -> None:
    args = engine_of(Mocker(image=image, data="d", backend=backend).template("q", PAIR)).args
    assert ("--engine-type" in args) is played
    assert (str(backend) in args) is played


def test_a_network_of_the_policy_is_between_the_mockers_of_a_pair() -> None:
    graph = mocker(gb_per_s=2.5).template("q", PAIR)
    for role in ("prefill", "decode"):
        args = engine_of(graph, role).args
        assert args[args.index("--kv-transfer-bandwidth") + 1] == "2.5"


def test_without_a_claim_mockers_serve_the_images_model() -> None:
    assert mocker().served_model == "model"


def model_args(graph: Graph) -> tuple[str, ...]:
    return engine_of(graph).args[:4]


@pytest.mark.parametrize(
    ("folder", "sub_path"),
    [
        pytest.param("/cache/org/model-8b", {"subPath": "org/model-8b"}, id="named like the model"),
        pytest.param("/cache/weights", {"subPath": "weights"}, id="another name"),
        pytest.param("/cache", {}, id="the whole claim"),
    ],
)
def test_mockers_serve_the_requests_model_with_the_files_of_its_claim(
    folder: str, sub_path: dict[str, Any]
) -> None:
    engine = mocker(cache=claim(folder))
    graph = engine.template("q", PAIR)
    path = "/models/org/model-8b"
    assert engine.served_model == "org/model-8b"
    assert model_args(graph) == ("--model-path", path, "--model-name", "org/model-8b")
    for component in graph.components:
        assert component.working_dir == "/models"
        assert {"name": "model-cache", "mountPath": path, **sub_path} in component.volume_mounts
        assert component.volumes[-1]["persistentVolumeClaim"] == {"claimName": "weights"}


def test_mockers_find_the_requests_model_in_a_claim_that_is_the_hubs_cache() -> None:
    graph = mocker(cache=claim(None)).template("q", PAIR)
    assert model_args(graph) == ("--model-path", "org/model-8b", "--model-name", "org/model-8b")
    for component in graph.components:
        assert component.env == ({"name": "HF_HOME", "value": "/cache"},)
        assert component.working_dir is None


def test_a_model_that_the_policy_names_wins() -> None:
    named = MockerCandidates(model_path="/m/tiny", model_name="tiny")
    assert mocker(named, claim("/cache/weights")).served_model == "tiny"


@pytest.mark.parametrize(
    ("path", "name", "folder"),
    [("/model", "model", "/"), ("/models/org/name", "org/name", "/models")],
)
def test_both_processes_run_where_the_model_has_its_name(path: str, name: str, folder: str) -> None:
    graph = Mocker(image="i", data="d", model=in_image(path, name)).template("q", PAIR)
    assert {c.working_dir for c in graph.components} == {folder}


@pytest.mark.parametrize(("path", "name"), [("/model", "tiny"), ("/mymodel", "model"), ("m", "m")])
def test_a_model_name_that_the_frontend_would_not_find_is_refused(path: str, name: str) -> None:
    engine = Mocker(image="i", data="d", model=MockedModel(path=path, name=name))
    with pytest.raises(InvalidRequest, match="must be the end of modelPath"):
        engine.template("q", PAIR)


def test_a_mocker_without_gpus_asks_for_none() -> None:
    engine = Mocker(image="i", data="d", with_gpus=False)
    assert graph_gpus(engine.template("q", Shape.pair(Mapping.tensor(4)))) == 0
