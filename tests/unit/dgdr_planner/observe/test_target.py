from typing import Any

import pytest

from dgdr_api.graph import Role
from dgdr_planner.observe.observation import TargetSeen
from dgdr_planner.observe.target import adapter_names, target_of, with_replicas
from dgdr_planner.observe.value import Trouble
from support.planning import DGD_NAME, NAMESPACE, adapter, graph_deployment, worker

BOTH = (Role.PREFILL, Role.DECODE)


def seen(dgd: dict[str, Any], *adapters: dict[str, Any]) -> TargetSeen:
    found = target_of(dgd, {one["metadata"]["name"]: one for one in adapters}, BOTH)
    assert isinstance(found, TargetSeen)
    return found


def trouble(dgd: dict[str, Any]) -> Trouble:
    found = target_of(dgd, {}, BOTH)
    assert isinstance(found, Trouble)
    return found


def test_roles_are_read_with_their_gpus_and_pods() -> None:
    found = seen(graph_deployment(prefill=3, decode=2))
    assert (found.namespace, found.name, found.model) == (NAMESPACE, DGD_NAME, "model")
    assert found.frontends == 1
    prefill = found.role(Role.PREFILL)
    assert (prefill.replicas, prefill.ready, prefill.gpus_per_replica) == (3, 3, 2)
    assert prefill.adapter_version is None


def test_the_adapters_number_is_what_is_wanted() -> None:
    scaled = adapter("decode", 5)
    scaled["metadata"]["resourceVersion"] = "17"
    decode = seen(graph_deployment(), scaled).role(Role.DECODE)
    assert (decode.replicas, decode.ready, decode.adapter_version) == (5, 1, "17")


def test_adapters_are_named_after_graph_and_component() -> None:
    assert adapter_names(graph_deployment(), BOTH) == ("q-dgd-prefill", "q-dgd-decode")


def test_nothing_reported_is_not_known() -> None:
    bare = graph_deployment()
    del bare["status"]
    found = seen(bare)
    assert found.frontends is None
    decode = found.role(Role.DECODE)
    assert (decode.ready, decode.pending) == (None, None)


def test_a_report_of_another_shape_says_nothing() -> None:
    strange = graph_deployment()
    strange["status"] = {"components": {"decode": {"readyReplicas": "many"}}}
    assert seen(strange).role(Role.DECODE).ready is None


def test_of_a_scaling_group_only_available_replicas_are_reported() -> None:
    dgd = graph_deployment(decode=4)
    group = {"componentKind": "PodCliqueScalingGroup", "replicas": 4, "availableReplicas": 3}
    dgd["status"]["components"]["decode"] = group
    decode = seen(dgd).role(Role.DECODE)
    assert (decode.ready, decode.pending) == (3, 1)


@pytest.mark.parametrize(
    ("main", "model"),
    [
        ({"args": ["--model", "Qwen/Qwen3-0.6B"]}, "Qwen/Qwen3-0.6B"),
        ({"args": ["--model=Qwen/Qwen3-0.6B", "--served-model-name", "qwen"]}, "qwen"),
        ({"command": ["sh", "-c"], "args": ["exec run --model llama --tp 2"]}, "llama"),
        ({"args": ["--model"]}, None),
        ({"args": ["it's one word --model"]}, None),
        ({}, None),
    ],
)
def test_the_model_is_what_the_flags_say(main: dict[str, Any], model: str | None) -> None:
    dgd = graph_deployment()
    for entry in dgd["spec"]["components"][1:]:
        container = {"name": "main", "image": "vllm:1", **main}
        entry["podTemplate"] = {"spec": {"containers": [container]}}
    assert seen(dgd).model == model


def test_a_reported_name_of_the_model_wins() -> None:
    dgd = graph_deployment()
    dgd["status"]["components"]["decode"]["servedModelName"] = "told"
    assert seen(dgd).model == "told"


def test_a_deployment_without_the_roles_is_told_what_it_has() -> None:
    dgd = graph_deployment()
    dgd["spec"]["components"] = [worker("worker", 1)]
    assert trouble(dgd) == Trouble(
        "RolesMissing",
        "DynamoGraphDeployment q-dgd needs components, one of type prefill and one of type decode,"
        " to be scaled; it has worker (worker)",
    )


def test_a_deployment_that_is_going_is_left_alone() -> None:
    dgd = graph_deployment()
    dgd["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert trouble(dgd).reason == "TargetDeleted"


def test_a_manifest_that_cannot_be_read_is_named_by_its_field() -> None:
    dgd = graph_deployment()
    dgd["spec"]["components"][1]["replicas"] = "three"
    assert trouble(dgd).reason == "TargetUnreadable"
    assert "spec.components[1].replicas" in trouble(dgd).message


def test_other_replicas_leave_everything_else_as_it_is() -> None:
    dgd = graph_deployment(prefill=1, decode=2)
    changed = with_replicas(dgd, {"prefill": 4})
    assert changed[1] == dgd["spec"]["components"][1] | {"replicas": 4}
    assert changed[0] == dgd["spec"]["components"][0]
    assert changed[2] == dgd["spec"]["components"][2]


def test_gpus_of_native_sidecars_count() -> None:
    dgd = graph_with({"initContainers": [ENGINE]})
    found = target_of(dgd, {}, (Role.DECODE,))
    assert isinstance(found, TargetSeen)
    assert (found.role(Role.DECODE).gpus_per_replica, found.uncountable) == (4, None)


@pytest.mark.parametrize(
    ("reported", "generation", "gpus"), [(2, 1, 2), (2, 7, 0), (None, 1, 0)], ids=str
)
def test_gpus_of_a_claim_are_the_operators_word(
    reported: int | None, generation: int, gpus: int
) -> None:
    dgd = graph_with({"resourceClaims": [{"name": "gpu", "resourceClaimTemplateName": "two"}]})
    dgd["metadata"]["generation"] = generation
    dgd["status"] = {"observedGeneration": 1, "components": {"d": {"gpusPerReplica": reported}}}
    found = target_of(dgd, {}, (Role.DECODE,))
    assert isinstance(found, TargetSeen)
    assert found.role(Role.DECODE).gpus_per_replica == gpus
    assert (found.uncountable is None) is (gpus > 0)


ENGINE = {
    "name": "engine",
    "restartPolicy": "Always",
    "resources": {"limits": {"nvidia.com/gpu": "4"}},
}


def graph_with(pod: dict[str, Any]) -> dict[str, Any]:
    """One decode worker whose main container has no GPU."""
    spec = {"containers": [{"name": "main", "image": "i"}], **pod}
    entry = {"name": "d", "type": "decode", "podTemplate": {"spec": spec}}
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g", "namespace": "ns"},
        "spec": {"components": [entry]},
    }
