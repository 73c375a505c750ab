"""A Job whose pod does not run: its candidates go, and the condition says why."""

from datetime import timedelta
from typing import Any

import pytest

from dgdr_kube.kinds import DGD, JOB, POD
from dgdr_operator.core.observation import IdleReason, JobState
from dgdr_operator.core.observed_job import job_seen
from support.dgdr_world import NS, World, dgdr

JOB_MANIFEST = {"metadata": {"name": "profile-q"}}
NO_CPU = "0/1 nodes are available: 1 Insufficient cpu"
HOMELESS = {
    "phase": "Pending",
    "conditions": [{"type": "PodScheduled", "status": "False", "message": NO_CPU}],
}


def pod(status: dict[str, Any], name: str = "p-1", **metadata: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **metadata}, "status": status}


def profiler(**state: Any) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "profiler", "state": state}]}


RUNNING = profiler(running={})
PULLING = profiler(waiting={"reason": "ContainerCreating"})
UNPULLABLE = profiler(waiting={"reason": "ImagePullBackOff", "message": "no such image p:1"})


@pytest.mark.parametrize(
    ("job", "pods", "reason", "words"),
    [
        pytest.param(
            {**JOB_MANIFEST, "spec": {"suspend": True}},
            [],
            IdleReason.SUSPENDED,
            "Job profile-q is suspended; set its spec.suspend to false",
            id="suspended",
        ),
        pytest.param(JOB_MANIFEST, [], IdleReason.NO_POD, "Job profile-q has no pod", id="no pod"),
        pytest.param(
            JOB_MANIFEST,
            [pod(HOMELESS)],
            IdleReason.POD_UNSCHEDULABLE,
            f"pod p-1 has no node: {NO_CPU}",
            id="no node",
        ),
        pytest.param(
            JOB_MANIFEST,
            [pod(UNPULLABLE)],
            IdleReason.POD_STUCK,
            "pod p-1, container profiler ImagePullBackOff: no such image p:1",
            id="no image",
        ),
        pytest.param(
            JOB_MANIFEST, [pod(PULLING)], IdleReason.POD_STARTING, "is starting", id="starting"
        ),
        pytest.param(
            JOB_MANIFEST,
            [pod(RUNNING, deletionTimestamp="2025-01-01T00:00:00Z")],
            IdleReason.POD_TERMINATING,
            "pod p-1 is being deleted",
            id="about to end, or on a node that is lost",
        ),
        pytest.param(
            JOB_MANIFEST,
            [pod({"phase": "Failed"})],
            IdleReason.POD_ENDED,
            "pod p-1 has ended",
            id="ended",
        ),
        pytest.param(
            JOB_MANIFEST,
            [
                pod(HOMELESS, "p-2", creationTimestamp="2025-01-01T00:02:00Z"),
                pod({"phase": "Failed"}, "p-1", creationTimestamp="2025-01-01T00:01:00Z"),
            ],
            IdleReason.POD_UNSCHEDULABLE,
            "pod p-2",
            id="the newest pod counts",
        ),
    ],
)
def test_an_idle_job_says_why(
    job: dict[str, Any], pods: list[dict[str, Any]], reason: IdleReason, words: str
) -> None:
    seen = job_seen(job, pods)
    assert seen.state is JobState.RUNNING
    assert seen.idle is not None
    assert seen.idle.reason is reason
    assert words in seen.idle.message


def test_a_running_profiler_is_not_idle() -> None:
    assert job_seen(JOB_MANIFEST, [pod({"phase": "Failed"}), pod(RUNNING, "p-2")]).idle is None


async def measuring() -> World:
    """A run with a candidate; its profiler is at work."""
    world = World(dgdr())
    await world.settle()
    await world.profiler_reports("SweepingDecode", "3 of 9 points")
    await world.profiler_makes_candidate()
    await world.settle()
    assert world.condition("ProfilerRunning")[:2] == ("True", "PodRunning")
    return world


async def passes_for(world: World, seconds: float) -> None:
    await world.settle()
    world.now += timedelta(seconds=seconds)
    await world.settle()


def candidate(world: World) -> object:
    return world.cluster.peek(DGD, NS, "q-tp2")


async def suspend(world: World, whether: bool = True) -> None:
    await world.cluster.patch(JOB, NS, "profile-q", {"spec": {"suspend": whether}}, "kubectl")
    await world.cluster.delete(POD, NS, "profile-q-pod")


async def test_a_pod_that_waits_for_its_own_candidates_cpu_gets_it() -> None:
    world = await measuring()
    world.profiler_pod(HOMELESS)
    await passes_for(world, 40)
    assert candidate(world) is not None
    assert world.condition("Profiling") == (
        "False",
        "SweepingDecode",
        f"pod profile-q-pod has no node: {NO_CPU}; waiting since 2025-01-01T00:00:06Z; "
        "before that: 3 of 9 points",
    )
    await passes_for(world, 30)
    assert candidate(world) is None
    assert "CandidatesDeleted" in world.events
    assert world.phase == "Profiling"
    await world.profiler_reports("SweepingDecode", "4 of 9 points")
    await world.settle()
    assert world.condition("Profiling")[2] == "4 of 9 points"
    assert world.condition("ProfilerRunning")[0] == "True"


async def test_candidates_of_a_suspended_job_go() -> None:
    world = await measuring()
    await suspend(world)
    await passes_for(world, 70)
    assert candidate(world) is None
    assert "is suspended" in world.condition("Profiling")[2]
    await suspend(world, False)
    await world.live()
    assert world.phase == "Deployed"


async def test_a_pod_that_is_replaced_in_time_finds_its_candidate() -> None:
    world = await measuring()
    await world.cluster.delete(POD, NS, "profile-q-pod")
    await passes_for(world, 40)
    world.profiler_pod()
    await passes_for(world, 600)
    assert candidate(world) is not None


async def test_pods_that_come_and_never_run_do_not_put_the_sweep_off() -> None:
    world = await measuring()
    for status in (HOMELESS, PULLING, {"phase": "Failed"}, HOMELESS):
        world.profiler_pod(status)
        await passes_for(world, 20)
    assert candidate(world) is None


async def test_a_candidate_that_was_just_made_has_a_profiler_whatever_the_kubelet_says() -> None:
    world = await measuring()
    world.profiler_pod(UNPULLABLE)
    await passes_for(world, 70)
    assert candidate(world) is None
    world.cluster.now = world.now
    await world.profiler_makes_candidate()
    await passes_for(world, 40)
    assert candidate(world) is not None
    await passes_for(world, 30)
    assert candidate(world) is None


async def test_a_slow_image_is_waited_for_but_not_for_ever() -> None:
    world = await measuring()
    world.profiler_pod(PULLING)
    await passes_for(world, 500)
    assert candidate(world) is not None
    await passes_for(world, 200)
    assert candidate(world) is None


async def test_a_finished_run_says_nothing_about_its_profiler() -> None:
    world = await measuring()
    await world.live()
    assert world.phase == "Deployed"
    assert "ProfilerRunning" not in [c["type"] for c in world.status["conditions"]]
