"""What a run stores, what a new pod makes of it, and how a candidate fails."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_api.graph import Graph
from dgdr_api.request import ProfilingRequest, RequestHardware
from dgdr_profiler import run as shell
from dgdr_profiler.core.candidate import CapacitySource, EngineFacts
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.journal import Failure, Rejection, Reused, Stay, from_text, stays
from dgdr_profiler.ports import Tell
from dgdr_profiler.run import NothingMeasured
from support.profiler_ports import FakeDeployments, FakeLoad, MemoryRecords
from support.profiler_runs import GRAPHS, finished, request
from support.profiling import FACTS


def stays_of(records: MemoryRecords) -> list[Stay]:
    return list(stays(map(from_text, records.journal.values())))


async def report_after(records: MemoryRecords, **parts: Any) -> dict[str, Any]:
    done = await finished(records=records, **parts)
    found: dict[str, Any] = json.loads(done.texts["report.json"])
    return found


async def test_a_new_pod_waits_for_no_candidate_a_second_time() -> None:
    records = MemoryRecords()
    late = FakeDeployments(broken={"q-p-tp2": "not serving after 1800 s"})
    await finished(records=records, deployments=late)
    again = FakeDeployments()
    report = await report_after(records, deployments=again)
    assert "deploy q-p-tp2" not in again.log
    tp2 = next(c for c in report["candidates"] if c["label"] == "TP=2")
    assert tp2["rejected"] == "not serving after 1800 s"
    assert any("not serving after 1800 s" in note for note in report["notes"])


async def test_a_new_pod_tries_again_what_may_do_better_now() -> None:
    records = MemoryRecords()
    lost = CandidateFailed("pod d-1: its node does not answer any more", lasting=False)
    await finished(records=records, deployments=FakeDeployments(broken={"q-p-tp2": lost}))
    again = FakeDeployments()
    await finished(records=records, deployments=again)
    assert "deploy q-p-tp2" in again.log


async def test_failures_of_earlier_pods_count() -> None:
    records, now = MemoryRecords(), datetime.now(UTC)
    await records.enter(Failure(candidate="p-tp1", isl=2048, reason="lost", at=now))
    load = FakeLoad(failures=1)
    report = await report_after(records, load=load)
    tp1 = next(c for c in report["candidates"] if c["label"] == "TP=1")
    assert tp1["rejected"].startswith("failed 2 times")


async def test_a_stay_that_a_killed_pod_began_is_ended_by_the_next_one() -> None:
    records = MemoryRecords()
    began = datetime.now(UTC) - timedelta(seconds=100)
    await records.enter(Stay(candidate="p-tp2", gpus=4, started_at=began))
    deployments = FakeDeployments(left={"q-p-tp2"})
    report = await report_after(records, deployments=deployments)
    held = [s.held_s or 0 for s in stays_of(records) if s.candidate == "p-tp2"]
    assert held[0] == pytest.approx(100, abs=5)
    assert len(held) == 2
    assert report["gpuSeconds"] >= 400


async def test_a_stay_is_stored_before_its_candidate_is_created() -> None:
    records = MemoryRecords()

    class Killed(FakeDeployments):
        async def deploy(self, graph: Graph, model: str, tell: Tell) -> EngineFacts:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await finished(records=records, deployments=Killed())
    (stay,) = stays_of(records)
    assert (stay.candidate, stay.gpus, stay.held_s) == ("p-tp1", 2, None)


async def test_all_stays_of_a_finished_run_have_ended() -> None:
    records = MemoryRecords()
    await finished(records=records)
    assert stays_of(records)
    assert all(s.held_s is not None and s.ready_after_s is not None for s in stays_of(records))


async def test_a_rejected_candidate_that_still_stands_is_only_taken_down() -> None:
    records = MemoryRecords()
    gone = Rejection(candidate="p-tp2", reason="OOMKilled", at=datetime.now(UTC))
    await records.enter(gone)
    deployments = FakeDeployments(left={"q-p-tp2"})
    await finished(records=records, deployments=deployments)
    assert deployments.log[0] == "retire q-p-tp2"
    assert "deploy q-p-tp2" not in deployments.log


def borrowed(records: MemoryRecords) -> MemoryRecords:
    """Another request's records, in which the points of the first one are found."""
    other = [p.model_copy(update={"candidate": "x"}) for p in records.stored]
    return MemoryRecords(elsewhere=[Reused(point=p, owner="first") for p in other])


async def test_limits_that_another_request_has_seen_ask_for_no_cells_here() -> None:
    first = MemoryRecords()
    await finished(records=first)
    roomy = {"max_kv_tokens": 4 * 65536}
    first.stored = [p.model_copy(update=roomy) for p in first.stored]
    load, deployments = FakeLoad(), FakeDeployments()
    await finished(records=borrowed(first), load=load, deployments=deployments)
    assert load.calls == []
    assert deployments.log.count("deploy q-p-tp1") == 1


async def test_points_of_another_request_are_reused_and_shown_as_such() -> None:
    first = MemoryRecords()
    await finished(records=first)
    second, load, deployments = borrowed(first), FakeLoad(), FakeDeployments()
    report = await report_after(second, load=load, deployments=deployments)
    assert load.calls == []
    assert second.stored == []
    assert {p["reusedFrom"] for p in report["points"]} == {"first"}
    # Which image runs is only known once it does.
    assert [line for line in deployments.log if line.startswith("deploy")] == [
        "deploy q-p-tp1",
        "deploy q-p-tp2",
        "deploy q-p-tp4",
    ]


@pytest.mark.parametrize(
    ("asked", "facts"),
    [
        pytest.param(request(), replace(FACTS, image_digest="sha256:newer"), id="image"),
        pytest.param(request({"model": "Qwen/Other"}, mocker={"modelName": "l", "modelPath": "/l"}),
                     FACTS, id="model"),
        pytest.param(
            request().model_copy(update={"hardware": RequestHardware(total_gpus=16)}),
            FACTS,
            id="GPUs of unknown product",
        ),
    ],
)  # fmt: skip
async def test_points_of_another_engine_are_not_reused(
    asked: ProfilingRequest, facts: EngineFacts
) -> None:
    first = MemoryRecords()
    await finished(records=first)
    load = FakeLoad()
    await finished(
        asked, records=borrowed(first), load=load, deployments=FakeDeployments(facts=facts)
    )
    assert load.calls


async def test_an_image_that_two_candidates_cannot_pull_ends_the_run() -> None:
    why = CandidateFailed("ErrImagePull (not found)", image="images.test/mocker:dev")
    down: dict[str, str | CandidateFailed] = dict.fromkeys(GRAPHS, why)
    deployments = FakeDeployments(broken=down)
    with pytest.raises(NothingMeasured, match=r"^ErrImagePull \(not found\); no candidate "):
        await finished(deployments=deployments)
    assert "deploy q-p-tp4" not in deployments.log


async def test_pods_that_end_slowly_are_waited_for_and_shown() -> None:
    records, deployments = MemoryRecords(), FakeDeployments(clinging={"q-p-tp1": 3})
    await finished(records=records, deployments=deployments)
    shown = [p.message for p in records.shown]
    assert "candidate 1 of 3: TP=1: waiting 0 s: pods d-1 have not ended" in shown
    assert deployments.up == set()


async def test_pods_that_never_end_cost_what_needs_their_gpus_and_not_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shell, "MOST_GONE_S", 0)
    broken: dict[str, str | CandidateFailed] = {"q-p-tp2": "OOMKilled"}
    deployments = FakeDeployments(broken=broken, clinging={"q-p-tp2": 10**6})
    report = await report_after(MemoryRecords(), deployments=deployments, of=request(gpusAtOnce=8))
    by = {c["label"]: c["rejected"] for c in report["candidates"]}
    assert by["TP=1"] is None
    assert by["TP=4"] == "pods of TP=2 do not end and hold 4 GPUs"


async def test_pods_that_an_earlier_pod_saw_ending_are_waited_for() -> None:
    records = MemoryRecords()
    await records.enter(Stay(candidate="p-tp4", gpus=8, started_at=datetime.now(UTC)))
    deployments = FakeDeployments(clinging={"q-p-tp4": 2})
    await finished(records=records, deployments=deployments)
    shown = [p.message for p in records.shown]
    assert shown[1] == "candidate 3 of 3: TP=4: waiting 0 s: pods d-1 have not ended"
    assert deployments.log[0] == "retire q-p-tp4"


async def test_what_is_waited_for_is_shown_with_the_clusters_words() -> None:
    records = MemoryRecords()
    why = "needs 4 nvidia.com/gpu and the largest node has 2"
    deployments = FakeDeployments(broken={"q-p-tp4": why})
    await finished(records=records, deployments=deployments)
    shown = [p.message for p in records.shown]
    assert f"candidate 3 of 3: TP=4: waiting 80 s: {why}" in shown
    assert f"candidate 3 of 3: TP=4 given up: {why}" in shown


async def test_the_report_says_what_the_model_is_and_who_says_so() -> None:
    report = await report_after(MemoryRecords(), of=request(model={"weightGiB": 16}))
    assert report["model"]["source"] == "spec.model of the ProfilingPolicy"
    assert report["model"]["weightBytes"] == 16 * 2**30
    assert report["model"]["parameters"] is None
    assert report["space"] == "3 of 3 shapes are possible by spec.model of the ProfilingPolicy"


async def test_the_report_says_what_each_engine_holds_and_who_says_so() -> None:
    said = replace(FACTS, kv_source=CapacitySource.LOG, notes=("/metrics say otherwise",))
    records = MemoryRecords()
    await report_after(records, deployments=FakeDeployments(facts=said))
    # A new pod, which deploys nothing, knows it too.
    report = await report_after(records)
    (stay,) = next(c for c in report["candidates"] if c["label"] == "TP=4")["deployments"]
    assert (stay["kvTokens"], stay["kvSource"]) == (FACTS.max_kv_tokens, "engine log")
    assert (stay["maxBatch"], stay["contextLength"]) == (FACTS.max_batch, FACTS.context_length)
    assert "TP=4: /metrics say otherwise" in report["notes"]
