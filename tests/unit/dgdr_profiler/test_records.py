import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from dgdr_api.models.dgdr_v1beta1 import ProfilingPhase
from dgdr_api.request import OwnerReference, ProfilingRequest
from dgdr_profiler.adapters import shelf
from dgdr_profiler.adapters.kube import (
    CONFIG_MAP,
    ClusterError,
)
from dgdr_profiler.adapters.records import KubeRecords
from dgdr_profiler.adapters.shelf import RECORDS_PER_MAP
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.journal import Failure, Rejection, Stay, in_run
from dgdr_profiler.core.progress import Progress
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
    monkeypatch.setattr(shelf, "POLL_S", 0)
    monkeypatch.setattr(shelf, "COLLECTED_TIMEOUT_S", 0)


async def records(kube: MemoryKube, now: datetime = NOW) -> KubeRecords:
    made = KubeRecords(kube, REQUEST)  # type: ignore[arg-type]
    await made.open(now)
    return made


async def cleared(kube: MemoryKube) -> None:
    """Do what the operator does before a run that was asked for again."""
    await kube.merge(CONFIG_MAP, "dgdr-output-q", {"data": None, "binaryData": None})


def begun_by_an_earlier_version(kube: MemoryKube) -> None:
    del output(kube)["data"]["profiler_started_at"]
    output(kube)["metadata"]["creationTimestamp"] = NOW.isoformat()


def output(kube: MemoryKube) -> dict[str, Any]:
    return kube.objects["configmaps", "dgdr-output-q"]


async def test_the_output_says_running_and_belongs_to_the_request() -> None:
    kube = MemoryKube()
    await records(kube)
    made = output(kube)
    assert made["data"] == {
        "profiler_status": "running",
        "profiler_started_at": NOW.isoformat(),
    }
    assert made["metadata"]["ownerReferences"] == [OWNER.to_json()]
    assert made["metadata"]["labels"]["dgdr.nvidia.com/name"] == "q"


async def test_a_new_pod_takes_back_the_failure_of_the_one_before() -> None:
    kube = MemoryKube()
    await (await records(kube)).fail("AIPerf is missing")
    assert output(kube)["data"]["profiler_error"] == "AIPerf is missing"
    await records(kube)
    assert output(kube)["data"]["profiler_status"] == "running"
    assert "profiler_error" not in output(kube)["data"]


async def test_a_run_began_with_its_first_pod() -> None:
    kube = MemoryKube()
    later = NOW + timedelta(minutes=90)
    assert (await records(kube)).spent_s(NOW) == 0.0
    assert (await records(kube, later)).spent_s(later) == 5400.0


async def test_a_run_that_was_asked_for_again_has_all_of_its_time() -> None:
    kube = MemoryKube()
    await (await records(kube)).fail("no candidate could be measured")
    output(kube)["metadata"]["creationTimestamp"] = NOW.isoformat()
    await cleared(kube)
    again = NOW + timedelta(hours=9)
    assert (await records(kube, again)).spent_s(again) == 0.0
    assert (await records(kube, again)).spent_s(again + timedelta(seconds=5)) == 5.0


async def test_a_run_that_an_earlier_version_began_goes_on() -> None:
    kube = MemoryKube()
    await records(kube)
    begun_by_an_earlier_version(kube)
    later = NOW + timedelta(minutes=90)
    for _ in range(2):
        assert (await records(kube, later)).spent_s(later) == 5400.0


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
    asked = REQUEST.model_copy(update={"reusable": ("gone", "other")})
    mine = KubeRecords(kube, asked)  # type: ignore[arg-type]
    await mine.add((point(TP1, prefill_cell(128)),))
    writes = len(kube.writes)
    (found,) = await mine.measured_elsewhere(measured[0].engine)
    assert (found.point, found.owner) == (measured[0], "other")
    assert len(kube.writes) == writes
    assert [p.isl for p in await mine.points()] == [128 + 9]


async def test_points_of_requests_that_are_not_named_are_not_looked_at() -> None:
    kube = MemoryKube()
    other = KubeRecords(kube, request_of("other"))  # type: ignore[arg-type]
    measured = point(TP1, prefill_cell(64))
    await other.add((measured,))
    assert await (await records(kube)).measured_elsewhere(measured.engine) == ()


REJECTION = Rejection(candidate="p-tp2", reason="OOMKilled", at=NOW)
STAY = Stay(candidate="p-tp2", gpus=4, started_at=NOW)


async def test_the_journal_is_stored_at_once_beside_the_points() -> None:
    kube = MemoryKube()
    of = await records(kube)
    await of.add((point(TP1, prefill_cell(64)),))
    for entry in (STAY, REJECTION, STAY.ended(NOW + timedelta(seconds=9))):
        await of.enter(entry)
    assert set(await (await records(kube)).entries()) == {
        in_run(REJECTION, NOW.isoformat()),
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
    assert await of.entries() == (in_run(REJECTION, NOW.isoformat()),)
    assert caplog.text.count("unreadable") == 2


async def test_what_went_wrong_in_an_earlier_run_does_not_count_but_its_gpus_do() -> None:
    kube = MemoryKube()
    of = await records(kube)
    for entry in (STAY, REJECTION, Failure(candidate="p-tp2", isl=64, reason="lost", at=NOW)):
        await of.enter(entry)
    assert len(await (await records(kube, NOW + timedelta(hours=1))).entries()) == 3
    await cleared(kube)
    assert await (await records(kube, NOW + timedelta(hours=1))).entries() == (STAY,)


@pytest.mark.parametrize(("goes_on", "counts"), [(True, 2), (False, 1)])
async def test_a_journal_of_an_earlier_version_counts_until_its_run_has_failed(
    goes_on: bool, counts: int
) -> None:
    kube = MemoryKube()
    await records(kube)
    begun_by_an_earlier_version(kube)
    of = await records(kube)
    for entry in (STAY, REJECTION):
        await of.enter(entry)
    assert "run" not in json.loads(
        kube.objects["configmaps", "dgdr-journal-q-0"]["data"][REJECTION.key]
    )
    if not goes_on:
        await cleared(kube)
    assert len(await (await records(kube)).entries()) == counts


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


async def test_what_is_shown_and_why_it_failed_tell_no_token() -> None:
    kube = MemoryKube()
    of = await records(kube)
    await of.show(Progress(phase=ProfilingPhase.INITIALIZING, message="hf_abcdefghijkl"))
    await of.fail("OSError: Bearer abcdefghijkl refused")
    assert output(kube)["data"]["message"] == "[token]"
    assert output(kube)["data"]["profiler_error"] == "OSError: [token] refused"
