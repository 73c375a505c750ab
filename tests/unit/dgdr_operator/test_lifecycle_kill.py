"""The operator killed at any write: the end is the one of an undisturbed life."""

import json
from typing import Any

import pytest

from dgdr_kube.kinds import DGDR
from support.dgdr_world import NAME, NS, World, dgdr
from support.fake_cluster import Killed

# What tells one life from another without being part of its outcome.
_ACCIDENTAL = ("resourceVersion", "creationTimestamp", "generation", "lastTransitionTime")
MANY_KILLS = 60


async def live_with_kills(world: World, every_write: int) -> int:
    """Let the operator be killed after that many writes, again and again; return the kills."""
    kills = 0
    for _ in range(MANY_KILLS):
        before = world.cluster.everything()
        world.cluster.kill_after_writes = every_write
        try:
            await world.one_pass()
        except Killed:
            kills += 1
        world.cluster.kill_after_writes = None
        await world.others()
        if world.cluster.everything() == before:
            break
    return kills


async def killed_once(after_writes: int) -> World:
    """Kill the operator at one write of its whole life; a new one goes on."""
    world = World(dgdr())
    left: int | None = after_writes
    for _ in range(MANY_KILLS):
        before, killed = world.cluster.everything(), False
        world.cluster.kill_after_writes = left
        try:
            await world.one_pass()
        except Killed:
            killed = True
        left = None if killed else world.cluster.kill_after_writes
        world.cluster.kill_after_writes = None
        await world.others()
        if world.cluster.everything() == before and not killed:
            return world
    raise AssertionError("never comes to rest")


def outcome(world: World) -> Any:
    """Return all objects with accidental fields left out and uids named by their objects."""
    objects = world.cluster.everything()
    uids = {manifest["metadata"]["uid"]: name for name, manifest in objects.items()}
    return {name: _plain(manifest, uids) for name, manifest in objects.items()}


def _plain(value: Any, uids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v, uids) for k, v in value.items() if k not in _ACCIDENTAL}
    if isinstance(value, list):
        return [_plain(child, uids) for child in value]
    if isinstance(value, str) and value.startswith("{"):
        return _plain(json.loads(value), uids)
    return uids.get(value, value) if isinstance(value, str) else value


async def undisturbed() -> World:
    world = World(dgdr())
    await world.live()
    return world


async def operators_writes() -> int:
    world = await undisturbed()
    return sum(
        write.manager in ("dgdr-operator", "dgdr-init", "") for write in world.cluster.writes
    )


# More than a life has; a test below says so.
WRITES = 18
TOLD_ONCE = ["Initialized", "ProfilingJobCreated", "SpecGenerated", "DeploymentCreated"]


@pytest.mark.parametrize("after_writes", range(WRITES))
async def test_a_kill_changes_nothing_about_the_end(after_writes: int) -> None:
    world = await killed_once(after_writes)
    assert world.phase == "Deployed"
    assert outcome(world) == outcome(await undisturbed())
    jobs = [w for w in world.cluster.writes if (w.verb, w.kind) == ("create", "Job")]
    assert len(jobs) == 1
    assert [reason for reason in world.events if reason in TOLD_ONCE] == TOLD_ONCE
    assert "DeploymentReady" in world.events


async def test_every_write_of_a_life_is_among_the_kills() -> None:
    assert 8 <= await operators_writes() <= WRITES


@pytest.mark.parametrize("every_write", [1, 2, 3])
async def test_an_operator_that_is_killed_all_the_time_still_gets_there(every_write: int) -> None:
    expected = outcome(await undisturbed())
    world = World(dgdr())
    kills = await live_with_kills(world, every_write)
    assert kills > 0
    assert outcome(world) == expected


async def test_a_deletion_at_any_phase_leaves_no_run_behind() -> None:
    for passes in range(8):
        world = World(dgdr())
        for _ in range(passes):
            await world.one_pass()
            await world.others()
        await world.cluster.delete(DGDR, NS, NAME)
        await world.one_pass()
        left = {name for name in world.cluster.everything() if _is_of_run(name)}
        assert left == set(), f"after {passes} passes"


def _is_of_run(name: str) -> bool:
    run = ("Job/", "ServiceAccount/", "RoleBinding/", "ConfigMap/ns/profile-", "ConfigMap/ns/dgdr-")
    return name.startswith(run) or name == "DynamoGraphDeployment/ns/q-tp2"


async def test_a_candidate_without_owner_goes_when_its_request_is_gone() -> None:
    world = World(dgdr())
    await world.settle()
    await world.profiler_makes_candidate()
    await world.cluster.delete(DGDR, NS, NAME)
    await world.one_pass()
    assert "DynamoGraphDeployment/ns/q-tp2" not in world.cluster.everything()
