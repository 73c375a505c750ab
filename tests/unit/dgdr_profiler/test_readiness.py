import json
from typing import Any

import pytest

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.readiness import facts_of, is_ready, trouble, unschedulable


def dgd(state: str, ready: str, observed: int = 2, generation: int = 2) -> DynamoGraphDeployment:
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


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"state": {"waiting": {"reason": reason, "message": message}}}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(waiting("ContainerCreating"), None, id="starting"),
        pytest.param(
            waiting("ImagePullBackOff", "no such tag"), "ImagePullBackOff (no such tag)", id="image"
        ),
        pytest.param(
            {
                **waiting("CrashLoopBackOff", "back-off 10s"),
                "restartCount": 2,
                "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            },
            "CrashLoopBackOff (OOMKilled)",
            id="memory",
        ),
        pytest.param(
            {
                "state": {"running": {}},
                "restartCount": 2,
                "lastState": {"terminated": {"reason": "Completed", "exitCode": 0}},
            },
            "restarted 2 times (Completed, exit code 0)",
            id="exit code 0 is a failure too",
        ),
        pytest.param({"state": {"running": {}}, "restartCount": 1}, None, id="one restart"),
    ],
)
def test_trouble(status: dict[str, Any], reason: str | None) -> None:
    found = trouble([pod(**status)])
    assert (found and found.reason) == reason


def test_a_pod_without_a_node_says_why() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "2 Insufficient gpu"}
    homeless = {"metadata": {"name": "d-1"}, "status": {"conditions": [condition]}}
    assert unschedulable([pod(), homeless]) == "pod d-1: 2 Insufficient gpu"
    assert unschedulable([pod()]) is None


def metadata(runtime: dict[str, int]) -> DynamoWorkerMetadata:
    card = {"context_length": 32768, "kv_cache_block_size": 64, "runtime_config": runtime}
    return DynamoWorkerMetadata.parse(
        {
            "apiVersion": "nvidia.com/v1alpha1",
            "kind": "DynamoWorkerMetadata",
            "metadata": {"name": "d-1"},
            "spec": {"data": {"model_cards": {"k": {"card_json": json.dumps(card)}}}},
        }
    )


def test_facts_come_from_the_card_and_the_digest_from_the_pod() -> None:
    facts = facts_of(pod(), metadata({"total_kv_blocks": 1024, "max_num_seqs": 256}))
    assert (facts.image_digest, facts.max_kv_tokens, facts.max_batch, facts.context_length) == (
        "sha256:abc",
        65536,
        256,
        32768,
    )


def test_what_the_card_does_not_say_is_unknown_and_not_zero() -> None:
    assert facts_of(pod(), metadata({})).max_kv_tokens is None
    assert facts_of(pod("sha256:local"), None).max_batch is None


def test_a_pod_that_hides_its_image_cannot_be_measured() -> None:
    with pytest.raises(CandidateFailed, match="does not say which image"):
        facts_of(pod(""), None)
