from typing import Any

import pytest

from dgdr_api.effective import EffectiveModelCache, effective, is_profiler_image, runtime_image
from dgdr_api.models.dgdr_v1beta1 import Backend, DGDRSpec, SearchStrategy


def spec(**fields: Any) -> DGDRSpec:
    return DGDRSpec.model_validate({"model": "m", **fields})


def test_the_defaults_are_upstreams() -> None:
    wanted = effective(spec())
    assert (wanted.isl, wanted.osl) == (4000, 1000)
    assert (wanted.ttft_ms, wanted.itl_ms, wanted.e2e_latency_ms) == (2000.0, 30.0, None)
    assert wanted.backend is Backend.AUTO
    assert wanted.search_strategy is SearchStrategy.RAPID
    assert wanted.auto_apply is True
    assert wanted.planner is None
    assert (wanted.total_gpus, wanted.gpus_per_node, wanted.gpu_sku) == (None, None, None)


@pytest.mark.parametrize(
    ("sla", "targets"),
    [
        pytest.param({"ttft": 500, "itl": 50}, (500.0, 50.0, None), id="both"),
        pytest.param({"e2eLatency": 900}, (None, None, 900.0), id="whole request"),
        pytest.param(
            {"ttft": None, "itl": None, "e2eLatency": 900}, (None, None, 900.0), id="upstream idiom"
        ),
        pytest.param({"ttft": None, "itl": None}, (2000.0, 30.0, None), id="nulls are unset"),
        pytest.param({}, (2000.0, 30.0, None), id="empty"),
    ],
)
def test_targets(sla: dict[str, Any], targets: tuple[float | None, ...]) -> None:
    wanted = effective(spec(sla=sla))
    assert (wanted.ttft_ms, wanted.itl_ms, wanted.e2e_latency_ms) == targets


@pytest.mark.parametrize(("given", "meant"), [(None, True), (True, True), (False, False)])
def test_auto_apply_is_on_unless_switched_off(given: bool | None, meant: bool) -> None:
    assert effective(spec(autoApply=given)).auto_apply is meant


@pytest.mark.parametrize(
    ("features", "planner"),
    [(None, None), ({}, None), ({"planner": None}, None), ({"planner": {}}, {})],
)
def test_a_planner_is_wanted_once_its_key_is_there(features: Any, planner: Any) -> None:
    assert effective(spec(features=features)).planner == planner


@pytest.mark.parametrize(
    ("switch", "on"), [(None, False), ({}, False), ({"enabled": False}, False)]
)
def test_mocker_is_off_unless_enabled(switch: Any, on: bool) -> None:
    assert effective(spec(features={"mocker": switch})).mocker is on
    assert effective(spec(features={"mocker": {"enabled": True}})).mocker is True


@pytest.mark.parametrize(
    ("cache", "resolved"),
    [
        pytest.param({}, None, id="no claim"),
        pytest.param({"pvcName": "c"}, ("/opt/model-cache", None), id="no folder"),
        pytest.param(
            {"pvcName": "c", "pvcModelPath": "/"},
            ("/opt/model-cache", "/opt/model-cache"),
            id="whole volume",
        ),
        pytest.param(
            {"pvcName": "c", "pvcModelPath": "a/b"},
            ("/opt/model-cache", "/opt/model-cache/a/b"),
            id="relative",
        ),
        pytest.param(
            {"pvcName": "c", "pvcModelPath": "/a/", "pvcMountPath": "/m/"},
            ("/m", "/m/a"),
            id="leading slash is still relative",
        ),
        pytest.param(
            {"pvcName": "c", "pvcModelPath": "/m/a", "pvcMountPath": "/m"},
            ("/m", "/m/a"),
            id="absolute under the mount",
        ),
        pytest.param(
            {"pvcName": "c", "pvcModelPath": "/models/a", "pvcMountPath": "/m"},
            ("/m", "/m/models/a"),
            id="a longer name is not under the mount",
        ),
        pytest.param(
            {"pvcName": "c", "pvcModelPath": "a", "pvcMountPath": "/"}, ("/", "/a"), id="root"
        ),
    ],
)
def test_model_cache(cache: dict[str, str], resolved: tuple[str, str | None] | None) -> None:
    expected = resolved and EffectiveModelCache(
        pvc_name="c", mount_path=resolved[0], model_path=resolved[1]
    )
    assert effective(spec(modelCache=cache)).model_cache == expected


@pytest.mark.parametrize(
    ("image", "backend", "runtime"),
    [
        ("r.test/a/dynamo-planner:1.6.1", Backend.VLLM, "r.test/a/vllm-runtime:1.6.1"),
        ("r.test/a/dynamo-frontend:1.0.2", Backend.SGLANG, "r.test/a/sglang-runtime:1.0.2"),
        ("dynamo-planner", Backend.TRTLLM, "tensorrtllm-runtime"),
        ("r.test:5000/dynamo-planner:1", Backend.VLLM, "r.test:5000/vllm-runtime:1"),
        ("r.test/a/vllm-runtime:my-tag", Backend.VLLM, "r.test/a/vllm-runtime:my-tag"),
        ("r.test/a/vllm-runtime:1.0.2", Backend.SGLANG, "r.test/a/sglang-runtime:1.0.2"),
        ("sglang-runtime@sha256:00", Backend.SGLANG, "sglang-runtime@sha256:00"),
        ("r.test/my-dynamo-planner:1", Backend.VLLM, "r.test/my-dynamo-planner:1"),
        ("r.test/a/dynamo-planner:1", Backend.AUTO, "r.test/a/dynamo-planner:1"),
    ],
)
def test_worker_images_are_derived_from_their_siblings(
    image: str, backend: Backend, runtime: str
) -> None:
    assert runtime_image(image, backend) == runtime
    assert effective(spec(image=image)).worker_image(backend) == runtime


def test_a_profiler_image_is_known_by_its_last_part() -> None:
    assert is_profiler_image("r.test/dynamo-planner@sha256:00")
    assert not is_profiler_image("dynamo-planner.test/vllm-runtime:1")


def test_without_an_image_there_is_none_for_workers() -> None:
    assert effective(spec()).worker_image(Backend.VLLM) is None
