from typing import Any

import pytest

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.conversion.unsaid import unsaid
from dgdr_api.effective import EffectiveModelCache, effective, is_profiler_image, runtime_image
from dgdr_api.models.dgdr_v1beta1 import Backend, DGDRSpec, SearchStrategy

PART: dict[str, Any] = {
    "apiVersion": ALPHA,
    "kind": "DynamoGraphDeploymentRequest",
    "metadata": {"name": "q"},
}


def spec(**fields: Any) -> DGDRSpec:
    return DGDRSpec.model_validate({"model": "m", **fields})


def in_both(version: str, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A request in v1beta1, and as it is read in the version that it was written in."""
    given = {
        "apiVersion": version,
        "kind": "DynamoGraphDeploymentRequest",
        "metadata": {"name": "q"},
        "spec": {"model": "m", **fields},
    }
    hub = converted(given, BETA)
    return hub["spec"], converted(hub, version)["spec"]


@pytest.mark.parametrize(
    ("version", "fields", "meant"),
    [
        pytest.param(BETA, {}, (2000.0, 30.0, 4000, 1000, True), id="v1beta1"),
        pytest.param(ALPHA, {}, (50.0, 10.0, 3000, 500, False), id="v1alpha1"),
        pytest.param(
            ALPHA,
            {"autoApply": True, "profilingConfig": {"config": {"sla": {"ttft": 200, "osl": "9"}}}},
            (200.0, 10.0, 3000, 9, True),
            id="v1alpha1, some of them given",
        ),
    ],
)
def test_nothing_means_what_it_does_in_the_version_that_was_written(
    version: str, fields: dict[str, Any], meant: tuple[Any, ...]
) -> None:
    hub, back = in_both(version, **fields)
    found = effective(DGDRSpec.model_validate(hub))
    read = (found.ttft_ms, found.itl_ms, found.isl, found.osl, found.auto_apply)
    assert read == meant
    assert back == {"model": "m", **fields}


@pytest.mark.parametrize(("given", "meant"), [("4000", 4000), (3000.7, 3000), ("x", 3000)])
def test_lengths_of_old_templates_are_read_as_far_as_they_are_numbers(
    given: Any, meant: int
) -> None:
    hub, back = in_both(ALPHA, profilingConfig={"config": {"sla": {"isl": given}}})
    assert hub["workload"]["isl"] == meant
    assert back["profilingConfig"]["config"]["sla"]["isl"] == given


def test_a_part_of_an_object_stays_a_part() -> None:
    assert "sla" not in converted({**PART, "spec": {"backend": "vllm"}}, BETA)["spec"]


def test_the_deployments_metadata_is_an_override_of_it() -> None:
    given = {"name": "mine", "namespace": "other", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    hub, back = in_both(ALPHA, deploymentOverrides=given)
    metadata = hub["overrides"]["dgd"]["metadata"]
    assert metadata == {"name": "mine", "labels": {"a": "b"}, "annotations": {"c": "d"}}
    assert back["deploymentOverrides"] == given
    own = {**PART, "spec": {"model": "m", "deploymentOverrides": given}}
    assert unsaid(own).paths == ("spec.deploymentOverrides.namespace",)


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
