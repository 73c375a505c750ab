import json
from typing import Any

import pytest

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.readiness import (
    engine_images,
    facts_of,
    is_ready,
    is_scaling_up,
    telling_pod,
    with_words,
    words_of,
)


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
    assert telling_pod([prefill, decode]) is decode
    assert telling_pod([worker]) is worker
    assert telling_pod([prefill]) is prefill
    assert telling_pod([pod()]) is None


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
