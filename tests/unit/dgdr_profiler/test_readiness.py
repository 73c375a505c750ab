from typing import Any

import pytest

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.readiness import (
    engine_images,
    is_ready,
    is_scaling_up,
    metrics_url,
    telling_pods,
    with_words,
    words_of,
)


def dgd(
    state: str, ready: str, observed: int | None = 2, generation: int = 2
) -> DynamoGraphDeployment:
    condition = {
        "type": "Ready",
        "status": ready,
        "reason": "r",
        "message": "decode: quota exceeded",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return DynamoGraphDeployment.parse(
        {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeployment",
            "metadata": {"name": "q-p-tp1", "generation": generation},
            "spec": {"components": [{"name": "frontend", "type": "frontend"}]},
            "status": {"state": state, "conditions": [condition], "observedGeneration": observed},
        }
    )


@pytest.mark.parametrize(
    ("seen", "ready"),
    [
        pytest.param(dgd("successful", "True"), True, id="ready"),
        pytest.param(dgd("pending", "False"), False, id="not yet"),
        pytest.param(dgd("successful", "True", observed=1), False, id="said about an older spec"),
        pytest.param(dgd("successful", "True", observed=None), True, id="of no spec in particular"),
    ],
)
def test_is_ready(seen: DynamoGraphDeployment, ready: bool) -> None:
    assert is_ready(seen) is ready


def test_a_failed_deployment_is_not_waited_for() -> None:
    with pytest.raises(CandidateFailed, match="q-p-tp1 failed: decode: quota exceeded"):
        is_ready(dgd("failed", "False"))


def pod(image_id: str = "registry.test/x@sha256:abc", **status: Any) -> dict[str, Any]:
    container = {"name": "main", "imageID": image_id, "restartCount": 0, **status}
    return {"metadata": {"name": "d-1"}, "status": {"containerStatuses": [container]}}


def test_the_deployments_own_words_are_part_of_a_reason() -> None:
    words = words_of(dgd("pending", "False"))
    assert words == "decode: quota exceeded"
    assert words_of(dgd("successful", "True")) == ""
    assert with_words("pod d-1: OOMKilled", words) == (
        "pod d-1: OOMKilled; the deployment says: decode: quota exceeded"
    )
    assert with_words(f"late; {words}", words) == f"late; {words}"
    assert with_words("late", "") == "late"


@pytest.mark.parametrize("reason", ["TriggeredScaleUp", "Nominated"])
def test_an_autoscaler_that_makes_a_node_is_heard(reason: str) -> None:
    event = {"reason": reason, "involvedObject": {"kind": "Pod", "name": "d-1"}}
    assert is_scaling_up([event], "d-1")
    assert not is_scaling_up([event], "d-2")
    assert not is_scaling_up([{**event, "reason": "NotTriggerScaleUp"}], "d-1")


def of_role(role: str, digest: str) -> dict[str, Any]:
    made = pod(f"registry.test/x@sha256:{digest}")
    made["metadata"]["labels"] = {"nvidia.com/dynamo-component-type": role}
    return made


def test_the_images_of_all_roles_are_part_of_what_was_measured() -> None:
    same = [of_role("prefill", "a"), of_role("decode", "a")]
    other = [of_role("decode", "a"), of_role("prefill", "b")]
    assert engine_images(same) == "sha256:a"
    assert engine_images(other) == "decode=sha256:a prefill=sha256:b"
    assert engine_images(other) == engine_images(reversed(other))
    swapped = [of_role("decode", "b"), of_role("prefill", "a")]
    assert engine_images(swapped) != engine_images(other)


def test_the_decode_worker_tells_the_facts_and_a_worker_where_there_is_none() -> None:
    prefill, decode, worker = (of_role(r, "a") for r in ("prefill", "decode", "worker"))
    assert telling_pods([prefill, decode]) == (decode,)
    assert telling_pods([worker]) == (worker,)
    assert telling_pods([prefill]) == (prefill,)
    assert telling_pods([pod()]) == ()


def test_every_pod_of_an_engine_over_several_nodes_is_asked() -> None:
    leader, other = of_role("decode", "a"), of_role("decode", "b")
    assert telling_pods([leader, of_role("prefill", "a"), other]) == (leader, other)


def test_a_pod_that_hides_its_image_cannot_be_measured() -> None:
    with pytest.raises(CandidateFailed, match="does not say which image"):
        engine_images([pod("")])


@pytest.mark.parametrize(
    ("address", "url"),
    [("10.0.0.7", "http://10.0.0.7:9090/metrics"), ("fd00::7", "http://[fd00::7]:9090/metrics")],
)
def test_metrics_are_where_the_pod_says_that_its_system_port_is(address: str, url: str) -> None:
    ports = [{"name": "nixl", "containerPort": 1}, {"name": "system", "containerPort": 9090}]
    found = {
        "spec": {"containers": [{"name": "sidecar"}, {"name": "main", "ports": ports}]},
        "status": {"podIP": address},
    }
    assert metrics_url(found) == url
    assert metrics_url({**found, "status": {}}) is None
    assert metrics_url({**found, "spec": {"containers": [{"name": "main"}]}}) is None
