from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_api.codec_v1beta1 import encode
from dgdr_api.graph import Graph
from dgdr_api.models.dgdr_v1beta1 import ProfilingPhase
from dgdr_api.request import OwnerReference, ProfilingRequest
from dgdr_profiler.adapters import deployments as adapter
from dgdr_profiler.adapters import shelf, waiting
from dgdr_profiler.adapters.deployments import KubeDeployments
from dgdr_profiler.adapters.kube import (
    CONFIG_MAP,
    DGD,
    EVENT,
    POD,
    AlreadyExists,
    ClusterError,
    Resource,
)
from dgdr_profiler.adapters.records import KubeRecords
from dgdr_profiler.adapters.shelf import RECORDS_PER_MAP
from dgdr_profiler.adapters.waiting import Patience
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.journal import Rejection, Stay
from dgdr_profiler.core.progress import Progress
from dgdr_profiler.engines.vllm import Vllm
from dgdr_profiler.ports import Result
from support.profiler_ports import MemoryKube
from support.profiling import NOW, TP1, TP2, point

OWNER = OwnerReference(
    api_version="nvidia.com/v1beta1",
    kind="DynamoGraphDeploymentRequest",
    name="q",
    uid="uid-1",
)
REQUEST = ProfilingRequest.model_validate(
    {
        "dgdrName": "q",
        "namespace": "ns",
        "uid": "uid-1",
        "spec": {"model": "m"},
        "ownerReference": OWNER.to_json(),
    }
)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "POLL_S", 0)
    monkeypatch.setattr(waiting, "POLL_S", 0)
    monkeypatch.setattr(waiting, "FIRST_WORD_S", 0)
    monkeypatch.setattr(shelf, "POLL_S", 0)
    monkeypatch.setattr(shelf, "COLLECTED_TIMEOUT_S", 0)
    monkeypatch.setattr(adapter, "GONE_TIMEOUT_S", 0)


async def records(kube: MemoryKube) -> KubeRecords:
    made = KubeRecords(kube, REQUEST)  # type: ignore[arg-type]
    await made.open()
    return made


def output(kube: MemoryKube) -> dict[str, Any]:
    return kube.objects["configmaps", "dgdr-output-q"]


async def test_the_output_says_running_and_belongs_to_the_request() -> None:
    kube = MemoryKube()
    await records(kube)
    made = output(kube)
    assert made["data"] == {"profiler_status": "running"}
    assert made["metadata"]["ownerReferences"] == [OWNER.to_json()]
    assert made["metadata"]["labels"]["dgdr.nvidia.com/name"] == "q"


async def test_a_new_pod_takes_back_the_failure_of_the_one_before() -> None:
    kube = MemoryKube()
    await (await records(kube)).fail("AIPerf is missing")
    assert output(kube)["data"]["profiler_error"] == "AIPerf is missing"
    await records(kube)
    assert output(kube)["data"] == {"profiler_status": "running"}


async def test_a_run_began_with_its_first_pod() -> None:
    kube = MemoryKube()
    first = await records(kube)
    now = datetime(2026, 1, 1, 2, tzinfo=UTC)
    assert first.spent_s(now) == 0.0
    output(kube)["metadata"]["creationTimestamp"] = "2026-01-01T00:30:00Z"
    assert (await records(kube)).spent_s(now) == 5400.0


async def test_progress_is_shown_in_upstreams_keys() -> None:
    kube = MemoryKube()
    of = await records(kube)
    await of.show(Progress(phase=ProfilingPhase.BUILDING_CURVES, message="3 of 9 points"))
    assert output(kube)["data"]["phase"] == "BuildingCurves"
    assert output(kube)["data"]["message"] == "3 of 9 points"


async def test_the_result_is_one_write() -> None:
    kube = MemoryKube()
    of = await records(kube)
    before = len(kube.writes)
    await of.succeed(Result(texts={"final_config.yaml": "x"}, binaries={"a.png": b"\x89"}))
    assert len(kube.writes) == before + 1
    assert output(kube)["data"]["profiler_status"] == "success"
    assert output(kube)["data"]["phase"] == "Done"
    assert output(kube)["binaryData"] == {"a.png": "iQ=="}


async def test_points_of_a_call_are_one_write_and_read_back() -> None:
    kube = MemoryKube()
    of = await records(kube)
    pair = (point(TP1, prefill_cell(64)), point(TP1, decode_cell(64, 96, 4)))
    before = len(kube.writes)
    await of.add(pair)
    # One to make the ConfigMap, one for both points.
    assert len(kube.writes) == before + 2
    assert set(await (await records(kube)).points()) == set(pair)
    made = kube.objects["configmaps", "dgdr-points-q-0"]
    assert made["metadata"]["labels"]["dgdr.dev/run"] == "uid-1"


def request_of(name: str) -> ProfilingRequest:
    owner = OWNER.model_copy(update={"name": name, "uid": f"uid-{name}"})
    changes = {"dgdr_name": name, "uid": owner.uid, "owner_reference": owner}
    return REQUEST.model_copy(update=changes)


async def test_points_of_other_requests_are_found_by_their_engine_and_not_written() -> None:
    kube = MemoryKube()
    other = KubeRecords(kube, request_of("other"))  # type: ignore[arg-type]
    measured = (point(TP1, prefill_cell(64)), point(TP2, prefill_cell(64)))
    await other.add(measured)
    mine = await records(kube)
    await mine.add((point(TP1, prefill_cell(128)),))
    writes = len(kube.writes)
    (found,) = await mine.measured_elsewhere(measured[0].engine)
    assert (found.point, found.owner) == (measured[0], "other")
    assert len(kube.writes) == writes
    assert [p.isl for p in await mine.points()] == [128 + 9]


REJECTION = Rejection(candidate="p-tp2", reason="OOMKilled", at=NOW)
STAY = Stay(candidate="p-tp2", gpus=4, started_at=NOW)


async def test_the_journal_is_stored_at_once_beside_the_points() -> None:
    kube = MemoryKube()
    of = await records(kube)
    await of.add((point(TP1, prefill_cell(64)),))
    for entry in (STAY, REJECTION, STAY.ended(NOW + timedelta(seconds=9))):
        await of.enter(entry)
    assert set(await (await records(kube)).entries()) == {
        REJECTION,
        STAY.ended(NOW + timedelta(seconds=9)),
    }
    assert len(await of.points()) == 1
    assert kube.names(CONFIG_MAP) == ["dgdr-journal-q-0", "dgdr-output-q", "dgdr-points-q-0"]


async def test_an_entry_is_replaced_where_it_is_also_by_a_new_pod() -> None:
    kube = MemoryKube()
    await (await records(kube)).enter(STAY)
    again = await records(kube)
    await again.entries()
    await again.enter(STAY.ended(NOW))
    assert await again.entries() == (STAY.ended(NOW),)


async def test_an_unreadable_entry_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    kube = MemoryKube()
    of = await records(kube)
    await of.enter(REJECTION)
    strange = {"a": "{", "b": '{"entry": "dance", "candidate": "p-tp1"}'}
    await kube.merge(CONFIG_MAP, "dgdr-journal-q-0", {"data": strange})
    assert await of.entries() == (REJECTION,)
    assert caplog.text.count("unreadable") == 2


async def test_a_run_without_a_journal_is_read() -> None:
    kube = MemoryKube()
    of = await records(kube)
    await of.add((point(TP1, prefill_cell(64)),))
    assert await of.entries() == ()
    assert len(await of.points()) == 1


async def test_a_full_config_map_is_followed_by_another() -> None:
    kube = MemoryKube()
    of = await records(kube)
    for isl in range(1, RECORDS_PER_MAP + 2):
        await of.add((point(TP2, prefill_cell(isl)),))
    assert kube.names(CONFIG_MAP) == ["dgdr-output-q", "dgdr-points-q-0", "dgdr-points-q-1"]
    assert len(await of.points()) == RECORDS_PER_MAP + 1


async def test_an_unreadable_point_is_no_point() -> None:
    kube = MemoryKube()
    of = await records(kube)
    await of.add((point(TP1, prefill_cell(64)),))
    await kube.merge(CONFIG_MAP, "dgdr-points-q-0", {"data": {"bad": "{"}})
    assert len(await of.points()) == 1


async def test_the_output_of_an_earlier_request_of_the_same_name_is_not_written_to() -> None:
    kube = MemoryKube()
    await records(kube)
    output(kube)["metadata"]["ownerReferences"][0]["uid"] = "uid-0"
    with pytest.raises(ClusterError, match="belongs to another request of the same name"):
        await records(kube)


GRAPH = Vllm(image="i", model="m").template("q-p-tp1").with_(labels={"dgdr.dev/run": "uid-1"})


def deployments(kube: MemoryKube, timeout_s: float = 0, schedule_s: float = 600) -> KubeDeployments:
    patience = Patience(ready_s=timeout_s, schedule_s=schedule_s)
    return KubeDeployments(kube, OWNER, patience)  # type: ignore[arg-type]


async def silent(waited_s: float, why: str) -> None:
    """Hear nothing."""


def standing(graph: Graph = GRAPH, **metadata: Any) -> dict[str, Any]:
    manifest = encode(graph)
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


async def test_a_stuck_pod_fails_the_candidate_at_once_with_its_last_words() -> None:
    kube = MemoryKube()
    kube.put(POD, pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=3))
    kube.logs["d-1"] = "RuntimeError: CUDA out of memory\n"
    with pytest.raises(CandidateFailed, match="CrashLoopBackOff; its log ends: RuntimeError"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)


async def test_a_log_tail_tells_no_token() -> None:
    kube = MemoryKube()
    kube.put(POD, pod(state={"waiting": {"reason": "CrashLoopBackOff"}}, restartCount=3))
    kube.logs["d-1"] = "401 for https://hub.test with HF_TOKEN=hf_abcdefghijkl\n"
    with pytest.raises(CandidateFailed, match=r"with HF_TOKEN=\[token\]$"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)


async def test_what_is_shown_and_why_it_failed_tell_no_token() -> None:
    kube = MemoryKube()
    of = await records(kube)
    await of.show(Progress(phase=ProfilingPhase.INITIALIZING, message="hf_abcdefghijkl"))
    await of.fail("OSError: Bearer abcdefghijkl refused")
    assert output(kube)["data"]["message"] == "[token]"
    assert output(kube)["data"]["profiler_error"] == "OSError: [token] refused"


async def test_a_candidate_that_does_not_come_up_in_time_says_what_the_scheduler_says() -> None:
    kube = MemoryKube()
    homeless = pod()
    homeless["status"]["conditions"] = [
        {"type": "PodScheduled", "status": "False", "message": "Insufficient nvidia.com/gpu"}
    ]
    kube.put(POD, homeless)
    with pytest.raises(CandidateFailed, match="not serving after 0 s: pod d-1: Insufficient"):
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
    with pytest.raises(CandidateFailed, match="no node for 600 s: pod d-1: Insufficient"):
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)


async def test_a_pod_that_gets_a_node_made_is_waited_for_as_long_as_a_candidate_may_take() -> None:
    kube = MemoryKube()
    kube.put(POD, homeless())
    kube.put(EVENT, scale_up())
    with pytest.raises(CandidateFailed, match="not serving after 0 s: pod d-1: Insufficient"):
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
    with pytest.raises(CandidateFailed, match="manifest unknown") as failed:
        await deployments(kube, timeout_s=1000).deploy(GRAPH, "m", silent)
    assert failed.value.image == "i:1"
    assert "its log" not in str(failed.value)


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
