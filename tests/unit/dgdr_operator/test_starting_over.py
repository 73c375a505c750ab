"""A failed request is no dead end: an edit, or an annotation, runs it again; nothing else does."""

from typing import Any

import pytest

from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import CONFIG_MAP, DGD, DGDR, JOB
from support.dgdr_world import NAME, NS, World, dgdr
from support.fake_cluster import Killed

TTL = "ttlSecondsAfterFinished"


async def ask(world: World, value: str = "2025-01-02T00:00:00Z") -> None:
    annotations = {"dgdr.dev/rerun-requested-at": value}
    await world.cluster.patch(DGDR, NS, NAME, {"metadata": {"annotations": annotations}}, "kubectl")


async def failed(**spec: Any) -> World:
    """A request the Job of which has failed; a point was measured."""
    world = World(dgdr(**spec))
    await world.settle()
    points = world.output_map({"k": "{}"})
    points["metadata"]["name"] = "dgdr-points-q-0"
    world.cluster.seed(points)
    await world.profiler_reports("SweepingPrefill", "x", profiler_status="failed")
    world.job_is("Failed", "BackoffLimitExceeded")
    await world.settle()
    assert world.phase == "Failed"
    return world


def jobs_made(world: World) -> int:
    return sum((write.verb, write.kind) == ("create", "Job") for write in world.cluster.writes)


# -- not by itself


async def test_a_failed_job_that_is_gone_is_not_started_again() -> None:
    world = World()
    await world.settle()
    await world.profiler_reports(
        "SweepingPrefill", "x", profiler_status="failed", profiler_error="no GPU"
    )
    await world.cluster.delete(JOB, NS, "profile-q")
    await world.settle()
    assert world.phase == "Failed"
    assert world.condition("Profiling")[2] == (
        "no GPU. Profiling job failed: Job profile-q is gone and its last pod had failed"
    )
    assert jobs_made(world) == 1


@pytest.mark.parametrize(("override", "ttl_s"), [({}, 86400), ({TTL: 0}, 0), ({TTL: 5}, 5)])
@pytest.mark.parametrize("end", ["Complete", "Failed"])
async def test_a_job_may_expire_when_its_end_is_on_record(
    end: str, override: dict[str, int], ttl_s: int
) -> None:
    world = World(dgdr(overrides={"profilingJob": override}))
    await world.settle()
    assert TTL not in (world.job or {})["spec"]
    if end == "Complete":
        await world.profiler_finishes()
    world.job_is(end)
    await world.settle()
    assert (world.job or {})["spec"][TTL] == ttl_s
    assert world.phase == ("Deploying" if end == "Complete" else "Failed")


async def test_a_job_that_may_not_be_given_a_time_to_live_just_stays() -> None:
    world = World()
    await world.settle()
    world.cluster.refuse("patch", JOB, Rejected(403, "jobs is forbidden"))
    world.job_is("Failed", "x")
    await world.settle()
    assert world.condition("Profiling")[:2] == ("False", "ProfilingFailed")
    assert world.condition("Stalled")[1] == "ProfilingFailed"


async def test_an_expired_job_of_a_failed_request_stays_away() -> None:
    world = await failed(overrides={"profilingJob": {TTL: 0}})
    await world.cluster.delete(JOB, NS, "profile-q")
    await world.settle()
    assert (world.phase, jobs_made(world)) == ("Failed", 1)


async def test_an_edit_that_came_too_late_does_not_start_over_when_the_run_fails() -> None:
    world = World()
    await world.settle()
    await world.edit(sla={"ttft": 300, "itl": 30})
    await world.settle()
    assert world.condition("SpecChangeRejected")[0] == "True"
    world.job_is("Failed")
    await world.settle()
    assert (world.phase, jobs_made(world)) == ("Failed", 1)


# -- on request


async def test_who_asks_for_a_rerun_gets_one_with_the_points_that_are_there() -> None:
    world = await failed()
    await ask(world)
    await world.settle()
    assert (world.phase, jobs_made(world)) == ("Profiling", 2)
    assert world.status["lastHandledRerunAt"] == "2025-01-02T00:00:00Z"
    assert world.cluster.peek(CONFIG_MAP, NS, "dgdr-points-q-0") is not None
    assert "data" not in (world.output or {})
    (told,) = [event for event in world.cluster.events if event.reason == "StartingOver"]
    assert told.message == (
        "Starting over: dgdr.dev/rerun-requested-at is 2025-01-02T00:00:00Z; points that were "
        "measured are kept"
    )
    await world.live()
    assert world.phase == "Deployed"


async def test_one_request_is_one_rerun_and_its_failure_is_told_again() -> None:
    world = await failed()
    await ask(world)
    await world.settle()
    world.job_is("Failed", "again")
    await world.settle()
    assert (world.phase, jobs_made(world)) == ("Failed", 2)
    assert world.events.count("ProfilingCheckFailed") == 2
    await ask(world, "another")
    await world.settle()
    assert (world.phase, jobs_made(world)) == ("Profiling", 3)


async def test_a_request_that_has_not_failed_answers_that_it_has_not() -> None:
    world = World()
    await world.settle()
    await ask(world)
    await world.settle()
    assert world.status["lastHandledRerunAt"] == "2025-01-02T00:00:00Z"
    assert [e.message for e in world.cluster.events if e.reason == "RerunIgnored"] == [
        "the request is Profiling; only a failed one is run again"
    ]
    world.job_is("Failed")
    await world.settle()
    assert (world.phase, jobs_made(world)) == ("Failed", 1)


async def test_a_deployment_that_was_deleted_comes_back_by_a_rerun() -> None:
    world = World()
    await world.live()
    await world.cluster.delete(DGD, NS, "q-dgd")
    await world.settle()
    assert world.condition("DeploymentReady")[1] == "DeploymentDeleted"
    await ask(world)
    await world.live()
    assert world.phase == "Deployed"
    assert world.dgd is not None


# -- by an edit


async def test_an_edit_of_a_failed_request_starts_over() -> None:
    world = await failed()
    old = (world.job or {})["metadata"]["uid"]
    await world.edit(sla={"ttft": 300, "itl": 30})
    await world.settle()
    assert world.phase == "Profiling"
    assert (world.job or {})["metadata"]["uid"] != old
    told = world.cluster.peek(CONFIG_MAP, NS, "profile-q") or {}
    assert '"ttft": 300' in told["data"]["request.json"]
    assert world.status["observedGeneration"] == 2
    assert "SpecChangeRejected" not in world.conditions
    await world.live()
    assert world.phase == "Deployed"


async def test_the_fix_of_a_job_that_was_refused_is_taken() -> None:
    world = World(dgdr(overrides={"profilingJob": {"template": {"spec": {"dnsPolicy": "x"}}}}))
    world.cluster.refuse("create", JOB, Rejected(422, "dnsPolicy: Unsupported value"))
    await world.settle()
    assert world.condition("Profiling")[1] == "JobCreationFailed"
    world.cluster.refuse("create", JOB, None)
    await world.edit(overrides=None)
    await world.settle()
    assert world.phase == "Profiling"
    assert "SpecChangeRejected" not in world.events


async def test_a_new_run_waits_until_the_old_job_is_gone() -> None:
    world = await failed()
    await ask(world)
    await world.one_pass()
    left = dict(world.cluster.peek(DGDR, NS, NAME) or {})
    owner = {"kind": left["kind"], "name": NAME, "uid": world.uid}
    world.cluster.seed(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": "profile-q",
                "namespace": NS,
                "deletionTimestamp": "2025-01-01T00:00:00Z",
                "ownerReferences": [owner],
            },
            "status": {"conditions": [{"type": "Failed", "status": "True"}]},
        }
    )
    await world.settle()
    assert world.phase == "Pending"
    text = "Job profile-q of the earlier run is being deleted; waiting since 2025-01-01T00:00:0"
    assert world.condition("Profiling")[2].startswith(text)
    await world.cluster.delete(JOB, NS, "profile-q")
    await world.settle()
    assert world.phase == "Profiling"


@pytest.mark.parametrize("writes", range(6))
async def test_a_kill_while_starting_over_changes_nothing_about_the_end(writes: int) -> None:
    world = await failed()
    await ask(world)
    world.cluster.kill_after_writes = writes
    with pytest.raises(Killed):
        await world.settle()
    world.cluster.kill_after_writes = None
    await world.settle()
    assert (world.phase, jobs_made(world)) == ("Profiling", 2)
    await world.live()
    assert world.phase == "Deployed"
