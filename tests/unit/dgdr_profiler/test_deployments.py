from typing import Any

import pytest

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.graph import Graph
from dgdr_api.request import OwnerReference
from dgdr_profiler.adapters import deployments as adapter
from dgdr_profiler.adapters import waiting
from dgdr_profiler.adapters.deployments import KubeDeployments, candidate_manifest
from dgdr_profiler.adapters.kube import (
    DGD,
    EVENT,
    POD,
    AlreadyExists,
    ClusterError,
    Resource,
)
from dgdr_profiler.adapters.waiting import Patience
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.vllm import Vllm
from support.dgds import dgd, entry
from support.profiler_ports import MemoryKube

OWNER = OwnerReference(
    api_version="nvidia.com/v1beta1",
    kind="DynamoGraphDeploymentRequest",
    name="q",
    uid="uid-1",
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "POLL_S", 0)
    monkeypatch.setattr(adapter, "GONE_TIMEOUT_S", 0)
    monkeypatch.setattr(waiting, "POLL_S", 0)
    monkeypatch.setattr(waiting, "FIRST_WORD_S", 0)


GRAPH = (
    Vllm(image="i", source=ModelSource(model="m"))
    .template("q-p-tp1", Shape.pair(Mapping.tensor(1)))
    .with_(labels={"dgdr.dev/run": "uid-1"})
)


def deployments(kube: MemoryKube, timeout_s: float = 0, schedule_s: float = 600) -> KubeDeployments:
    patience = Patience(ready_s=timeout_s, schedule_s=schedule_s)
    return KubeDeployments(kube, OWNER, patience, {}, {"i:1": "spec.image"})  # type: ignore[arg-type]


async def silent(waited_s: float, why: str) -> None:
    """Hear nothing."""


def standing(graph: Graph = GRAPH, **metadata: Any) -> dict[str, Any]:
    manifest = candidate_manifest(graph, OWNER)
    manifest["metadata"] |= {"generation": 1, **metadata}
    return manifest


def pod(**status: Any) -> dict[str, Any]:
    labels = {
        "nvidia.com/dynamo-graph-deployment-name": "q-p-tp1",
        "nvidia.com/dynamo-component-type": "decode",
    }
    container = {"name": "main", "imageID": "i@sha256:abc", "restartCount": 0, **status}
    return {
        "metadata": {"name": "d-1", "labels": labels},
        "status": {"containerStatuses": [container]},
    }


def crashed(words: str) -> dict[str, Any]:
    return pod(
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        lastState={"terminated": {"exitCode": 1, "reason": "Error", "message": words}},
        restartCount=3,
    )


async def test_a_stuck_pod_fails_the_candidate_at_once_with_its_last_words() -> None:
    kube = MemoryKube()
    kube.put(POD, crashed("long ago\n" * 9 + "RuntimeError: CUDA out of memory\n"))
    with pytest.raises(CandidateFailed, match=r"its log ends: (long ago\n){4}RuntimeError: CUDA"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)


async def test_a_pod_that_left_no_words_says_how_they_are_had() -> None:
    kube = MemoryKube()
    kube.put(POD, crashed(""))
    with pytest.raises(CandidateFailed, match=r"not known: .* profiling\.readLogs: true$"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)


def test_the_kubelet_keeps_the_last_words_of_every_container() -> None:
    pod_spec = {"containers": [{"name": "main", "image": "i"}], "initContainers": [{"name": "a"}]}
    written = dgd(entry("decode", "decode"))
    written["spec"]["components"][0]["podTemplate"]["spec"] = pod_spec
    (component,) = candidate_manifest(decode(written), OWNER)["spec"]["components"]
    spec = component["podTemplate"]["spec"]
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


async def test_a_log_tail_tells_no_token() -> None:
    kube = MemoryKube()
    kube.put(POD, crashed("401 for https://hub.test with HF_TOKEN=hf_abcdefghijkl\n"))
    with pytest.raises(CandidateFailed, match=r"with HF_TOKEN=\[token\]$"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)


async def test_a_candidate_that_does_not_come_up_in_time_says_what_the_scheduler_says() -> None:
    kube = MemoryKube()
    homeless = pod()
    homeless["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "Insufficient nvidia.com/gpu"}
    ]
    kube.put(POD, homeless)
    with pytest.raises(CandidateFailed, match="not serving after 0 s: Insufficient"):
        await deployments(kube).deploy(GRAPH, "m", silent)
    assert kube.objects["dynamographdeployments", "q-p-tp1"]["metadata"]["ownerReferences"] == [
        OWNER.to_json()
    ]


def homeless(since: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    made = pod()
    made["status"]["conditions"] = [
        {
            "type": "PodScheduled",
            "status": "False",
            "message": "Insufficient nvidia.com/gpu",
            "lastTransitionTime": since,
        }
    ]
    return made


def scale_up(reason: str = "TriggeredScaleUp") -> dict[str, Any]:
    involved = {"kind": "Pod", "name": "d-1"}
    return {"metadata": {"name": "e-1"}, "reason": reason, "involvedObject": involved}


async def test_a_pod_without_a_node_costs_the_time_to_schedule_only() -> None:
    kube = MemoryKube()
    kube.put(POD, homeless())
    with pytest.raises(CandidateFailed, match="no node for 600 s: Insufficient"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)


async def test_the_schedulers_sentence_is_not_said_again_in_the_deployments_words() -> None:
    kube = MemoryKube()
    kube.put(POD, homeless())
    words = "decode: 0 of 1 pods are ready; pod d-1 has no node: Insufficient nvidia.com/gpu"
    kube.put(DGD, standing() | {"status": status(words)})
    with pytest.raises(CandidateFailed) as failed:
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)
    assert str(failed.value) == "no node for 600 s: Insufficient nvidia.com/gpu"


async def test_a_pod_that_gets_a_node_made_is_waited_for_as_long_as_a_candidate_may_take() -> None:
    kube = MemoryKube()
    kube.put(POD, homeless())
    kube.put(EVENT, scale_up())
    with pytest.raises(CandidateFailed, match="not serving after 0 s: Insufficient"):
        await deployments(kube).deploy(GRAPH, "m", silent)
    kube.put(EVENT, scale_up("NotTriggerScaleUp"))
    with pytest.raises(CandidateFailed, match="no node for 600 s"):
        await deployments(kube).deploy(GRAPH, "m", silent)


async def test_without_the_right_to_read_events_the_time_to_schedule_counts() -> None:
    kube = MemoryKube()
    kube.put(POD, homeless())
    kube.forbidden.add(EVENT)
    with pytest.raises(CandidateFailed, match="no node for 600 s"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)


async def test_waiting_is_told_in_the_deployments_own_words() -> None:
    kube = MemoryKube()
    told: list[str] = []

    async def tell(waited_s: float, why: str) -> None:
        told.append(why)
        kube.put(POD, pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=3))

    words = "decode: needs 32 nvidia.com/gpu and the largest node has 16"
    kube.put(DGD, standing() | {"status": status(words)})
    with pytest.raises(CandidateFailed, match=f"CrashLoopBackOff; the deployment says: {words}"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", tell)
    assert told == [words]


def status(message: str) -> dict[str, Any]:
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "insufficient_capacity",
        "message": message,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return {"state": "pending", "conditions": [ready], "observedGeneration": 1}


async def test_an_image_that_cannot_be_pulled_is_named_for_the_other_candidates() -> None:
    kube = MemoryKube()
    missing = {"waiting": {"reason": "ErrImagePull", "message": "manifest unknown"}}
    kube.put(POD, pod(state=missing, image="i:1"))
    kube.logs["d-1"] = "there is none"
    with pytest.raises(CandidateFailed) as failed:
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)
    assert failed.value.image == "i:1"
    assert str(failed.value) == (
        'spec.image "i:1" cannot be pulled (manifest unknown); name an image that nodes reach, or '
        "add imagePullSecrets in overrides.dgd"
    )


async def test_an_image_that_could_not_be_pulled_twice_is_not_waited_for() -> None:
    kube = MemoryKube()
    busy = {"waiting": {"reason": "ErrImagePull", "message": "429 Too Many Requests"}}
    kube.put(POD, pod(state=busy, image="i:1"))

    async def tell(waited_s: float, why: str) -> None:
        message = 'Failed to pull image "i:1": 429 Too Many Requests'
        about = {"involvedObject": {"kind": "Pod", "name": "d-1"}, "message": message}
        kube.put(EVENT, {"metadata": {"name": "e-1"}, "count": 2, **about})

    with pytest.raises(CandidateFailed, match="429 Too Many Requests") as failed:
        await deployments(kube, timeout_s=5).deploy(GRAPH, "m", tell)
    assert failed.value.image == "i:1"


async def test_pods_of_an_earlier_shape_that_do_not_end_fail_the_candidate_only() -> None:
    kube = MemoryKube()
    kube.put(DGD, standing(GRAPH.with_(backend="sglang")))
    kube.put(POD, pod())
    with pytest.raises(CandidateFailed, match="in the way: pods d-1 have not ended") as failed:
        await deployments(kube).deploy(GRAPH, "m", silent)
    assert not failed.value.lasting


@pytest.mark.parametrize("code", [400, 403, 422])
async def test_a_refused_deployment_fails_the_candidate_only(code: int) -> None:
    kube = MemoryKube()
    kube.refused = ClusterError("admission webhook denied", code)
    with pytest.raises(CandidateFailed, match="was refused: admission webhook denied"):
        await deployments(kube).deploy(GRAPH, "m", silent)


async def test_an_equal_candidate_of_this_run_is_adopted() -> None:
    kube = MemoryKube()
    kube.put(DGD, standing())
    with pytest.raises(CandidateFailed, match="not serving"):
        await deployments(kube).deploy(GRAPH, "m", silent)
    assert kube.writes == []


class LostAnswers(MemoryKube):
    """Creates what it is asked to; the answer gets lost, and the second try meets the first."""

    async def create(self, resource: Resource, manifest: dict[str, Any]) -> dict[str, Any]:
        await super().create(resource, manifest)
        raise AlreadyExists("exists", 409)


async def test_a_candidate_whose_creation_was_answered_too_late_is_ours() -> None:
    kube = LostAnswers()
    manifest = standing()
    await deployments(kube)._ensure(manifest, GRAPH)
    assert kube.names(DGD) == [GRAPH.name]


async def test_a_candidate_of_another_shape_is_made_again() -> None:
    kube = MemoryKube()
    kube.put(DGD, standing(GRAPH.with_(backend="sglang")))
    with pytest.raises(CandidateFailed, match="not serving"):
        await deployments(kube).deploy(GRAPH, "m", silent)
    assert [verb for verb, _, _ in kube.writes] == ["delete", "create"]


async def test_a_deployment_of_somebody_else_is_neither_taken_nor_deleted() -> None:
    kube = MemoryKube()
    kube.put(DGD, standing(labels={"dgdr.dev/run": "uid-9"}))
    of = deployments(kube)
    assert not await of.standing(GRAPH)
    with pytest.raises(CandidateFailed, match="is not of this run"):
        await of.deploy(GRAPH, "m", silent)
    assert await of.retire(GRAPH, 0) is None
    assert kube.writes == []


async def test_retiring_waits_for_the_pods_whose_gpus_are_wanted() -> None:
    kube = MemoryKube()
    kube.put(DGD, standing())
    kube.put(POD, pod())
    assert await deployments(kube).retire(GRAPH, 0) == "pods d-1 have not ended"
    assert kube.names(DGD) == []
    del kube.objects["pods", "d-1"]
    assert await deployments(kube).retire(GRAPH, 0) is None


async def test_a_candidate_that_is_going_does_not_stand() -> None:
    kube = MemoryKube()
    kube.put(DGD, standing())
    assert await deployments(kube).standing(GRAPH)
    kube.put(DGD, standing(deletionTimestamp="2026-01-01T00:00:00Z"))
    assert not await deployments(kube).standing(GRAPH)
