"""A request that is suspended holds no GPUs and loses no points."""

from typing import Any

import pytest

from dgdr_kube.kinds import CONFIG_MAP, DGD, DGDR, JOB, POD
from support.dgdr_world import NAME, NS, World, dgdr

SUSPEND = "dgdr.dev/suspend"


async def mark(world: World, value: str | None) -> None:
    patch = {"metadata": {"annotations": {SUSPEND: value}}}
    await world.cluster.patch(DGDR, NS, NAME, patch, "kubectl")
    await world.settle()


def suspended(**spec: Any) -> World:
    request = dgdr(**spec)
    request["metadata"]["annotations"] = {SUSPEND: "true"}
    return World(request)


async def profiling() -> World:
    world = World()
    await world.settle()
    await world.profiler_reports("SweepingPrefill", "candidate 1 of 3")
    await world.profiler_makes_candidate()
    points = world.output_map({"k": "{}"})
    points["metadata"]["name"] = "dgdr-points-q-0"
    world.cluster.seed(points)
    await world.settle()
    return world


async def test_a_running_job_is_stopped_and_its_candidates_go_at_once() -> None:
    world = await profiling()
    assert world.cluster.peek(DGD, NS, "q-tp2") is not None
    await mark(world, "true")
    assert (world.job or {})["spec"]["suspend"] is True
    assert world.cluster.peek(DGD, NS, "q-tp2") is None
    assert world.cluster.peek(CONFIG_MAP, NS, "dgdr-points-q-0") is not None
    assert world.phase == "Profiling"
    status, reason, message = world.condition("Profiling")
    assert (status, reason) == ("False", "Suspended")
    assert f"annotation {SUSPEND} is true; remove it to go on; waiting since 2025-" in message
    assert world.events.count("Suspended") == 1


async def stopped() -> World:
    """A run that is suspended, and whose pod the Job's controller has ended."""
    world = await profiling()
    await mark(world, "true")
    await world.cluster.delete(POD, NS, "profile-q-pod")
    await world.settle()
    return world


@pytest.mark.parametrize("value", [None, "false"])
async def test_it_goes_on_when_the_annotation_goes(value: str | None) -> None:
    world = await stopped()
    await mark(world, value)
    assert (world.job or {})["spec"]["suspend"] is False
    world.profiler_pod()
    await world.settle()
    assert world.condition("Profiling")[1:] == ("SweepingPrefill", "candidate 1 of 3")
    assert world.events.count("Resumed") == 1
    await world.live()
    assert world.phase == "Deployed"


async def test_that_it_goes_on_is_told_although_the_pass_was_killed_that_did_it() -> None:
    world = await profiling()
    await mark(world, "true")
    await world.cluster.patch(JOB, NS, "profile-q", {"spec": {"suspend": False}}, "dgdr-operator")
    await mark(world, None)
    assert world.events.count("Resumed") == 1


async def test_it_goes_on_only_without_the_pod_whose_candidate_went() -> None:
    world = await profiling()
    await mark(world, "true")
    await mark(world, None)
    assert (world.job or {})["spec"]["suspend"] is True
    await world.cluster.delete(POD, NS, "profile-q-pod")
    await world.settle()
    assert (world.job or {})["spec"]["suspend"] is False
    assert world.events.count("Resumed") == 1


async def test_a_job_that_a_user_has_stopped_is_not_resumed() -> None:
    world = await profiling()
    await world.cluster.patch(JOB, NS, "profile-q", {"spec": {"suspend": True}}, "kubectl")
    await world.settle()
    assert (world.job or {})["spec"]["suspend"] is True
    assert "Resumed" not in world.events


async def test_nothing_is_started_and_what_is_wrong_is_said_all_the_same() -> None:
    world = suspended()
    await world.settle()
    assert (world.phase, world.job) == ("Pending", None)
    assert world.condition("Profiling")[1] == "Suspended"
    wrong = suspended(sla={"ttft": 1})
    await wrong.settle()
    assert wrong.phase == "Failed"
    await mark(world, None)
    assert world.phase == "Profiling"


async def test_a_result_waits_with_its_deployment() -> None:
    world = await profiling()
    await world.profiler_finishes()
    await mark(world, "true")
    assert (world.phase, world.dgd) == ("Deploying", None)
    assert world.condition("DeploymentReady")[1] == "DeploymentBlocked"
    await mark(world, None)
    assert world.dgd is not None


async def test_what_serves_goes_on() -> None:
    world = World()
    await world.live()
    before = world.dgd
    await mark(world, "true")
    assert world.phase == "Deployed"
    assert world.dgd == before
