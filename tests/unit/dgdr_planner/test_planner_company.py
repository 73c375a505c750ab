"""Planners that are not alone: rivals, hands, budgets, a switch, and passes that fail."""

import copy
from contextlib import suppress
from datetime import UTC
from typing import Any

import pytest

from dgdr_kube.errors import Rejected, Unreachable
from dgdr_kube.kinds import CONFIG_MAP, DGD, DGDSA, GPU_BUDGET, POD, SLA_PLANNER
from dgdr_kube.ports import Key
from support.fake_cluster import Killed
from support.planning import (
    DGD_NAME,
    NAMESPACE,
    adapter,
    graph_deployment,
    sla_planner,
)

from .test_planner_pass import KEY, World

OTHER = Key(NAMESPACE, "other")


def named(name: str, created: str, **spec: Any) -> dict[str, Any]:
    planner = sla_planner(**spec)
    planner["metadata"] |= {"name": name, "creationTimestamp": created}
    return planner


def ready_of(world: World, name: str) -> tuple[str, str]:
    found = world.cluster.peek(SLA_PLANNER, NAMESPACE, name)
    assert found is not None
    held = {entry["type"]: entry for entry in found["status"]["conditions"]}["Ready"]
    return held["status"], held["reason"]


# -- two planners on one deployment


async def test_of_two_planners_the_older_one_scales() -> None:
    world = World(named(DGD_NAME, "2026-01-02T00:00:00Z"))
    world.cluster.seed(named("other", "2026-01-01T00:00:00Z"))
    world.metrics.rate_per_s = 9.4
    await world.run(KEY)
    assert world.replicas() == (1, 1)
    assert world.condition("Ready") == (
        "False",
        "OwnershipConflict",
        "nothing is changed: SLAPlanner other is older and scales q-dgd; delete one of the two",
    )
    await world.run(OTHER)
    assert world.replicas() == (3, 2)
    assert ready_of(world, "other") == ("True", "Planning")


async def test_behind_a_suspended_owner_it_is_told_what_lets_it_scale() -> None:
    world = World(named(DGD_NAME, "2026-01-02T00:00:00Z"))
    world.cluster.seed(named("other", "2026-01-01T00:00:00Z", suspend=True))
    await world.run(KEY)
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "OwnershipConflict")
    assert message == (
        "nothing is changed: SLAPlanner other is older and suspended: it keeps the replicas of "
        "q-dgd as they are; delete other, or give it mode Shadow, to let this one scale"
    )


async def test_what_is_waited_for_is_said_where_nobody_is_stalled() -> None:
    world = World(sla_planner(suspend=True))
    await world.run(KEY)
    assert world.condition("Stalled") == (
        "False",
        "Progressing",
        "it waits: spec.suspend is true: replicas stay as they are",
    )


async def test_when_the_older_one_is_gone_the_other_scales() -> None:
    world = World(named(DGD_NAME, "2026-01-02T00:00:00Z"))
    world.cluster.seed(named("other", "2026-01-01T00:00:00Z"))
    world.metrics.rate_per_s = 9.4
    await world.run(KEY)
    world.planners.forget(OTHER)
    await world.run(KEY)
    assert world.replicas() == (3, 2)


async def test_a_shadow_beside_it_disturbs_nobody() -> None:
    world = World(named(DGD_NAME, "2026-01-02T00:00:00Z"))
    world.cluster.seed(named("other", "2026-01-01T00:00:00Z", mode="Shadow"))
    world.metrics.rate_per_s = 9.4
    await world.run(OTHER)
    assert ready_of(world, "other") == ("True", "Shadow")
    await world.run(KEY)
    assert world.replicas() == (3, 2)


# -- a planner of NVIDIA's in the deployment


def with_nvidias(world: World, *arguments: str, **fields: Any) -> None:
    dgd = world.cluster.peek(DGD, NAMESPACE, DGD_NAME)
    container = {"name": "main", "image": "planner:1.0.2", "args": [*arguments]}
    planner = {"name": "Planner", "type": "planner", **fields}
    planner["podTemplate"] = {"spec": {"containers": [container]}}
    dgd["spec"]["components"].append(planner)
    world.cluster.seed(dgd)


async def test_a_planner_of_nvidias_that_runs_is_left_to_scale() -> None:
    world = World()
    with_nvidias(world)
    world.metrics.rate_per_s = 9.4
    await world.run(KEY)
    assert world.replicas() == (1, 1)
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "OwnershipConflict")
    assert "component Planner of q-dgd is a planner of NVIDIA's" in message


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        pytest.param((), {"replicas": 0}, id="switched off"),
        pytest.param(("--no-operation", "--ttft", "300"), {}, id="told to watch only"),
    ],
)
async def test_a_planner_of_nvidias_that_does_not_scale_disturbs_nobody(
    arguments: tuple[str, ...], fields: dict[str, Any]
) -> None:
    world = World()
    with_nvidias(world, *arguments, **fields)
    world.metrics.rate_per_s = 9.4
    await world.run(KEY)
    assert world.replicas() == (3, 2)


# -- a pass that fails


async def test_a_pass_that_fails_says_so_and_is_counted() -> None:
    world = World()
    await world.passes()
    world.cluster.refuse("get", DGD, Unreachable("GET /apis/...: no route to host"))
    with pytest.raises(Unreachable):
        await world.run(KEY)
    assert world.condition("Ready") == (
        "False",
        "PassFailed",
        "nothing is changed: GET /apis/...: no route to host",
    )
    assert world.events()[-1] == ("Warning", "PassFailed")
    labels = {"dynamo_namespace": "demo-q-dgd", "target_namespace": NAMESPACE, "planner": DGD_NAME}
    counted = world.telemetry.registry.get_sample_value(
        "dgdr_planner_passes_total", labels | {"outcome": "failed"}
    )
    assert counted == 1
    world.cluster.refuse("get", DGD, None)
    await world.passes()
    assert world.condition("Ready")[:2] == ("True", "Planning")


async def test_what_nobody_expected_is_said_without_its_words() -> None:
    world = World()
    await world.passes()

    async def broken(*_: Any) -> None:
        raise ValueError("token=hunter2")

    world.metrics.snapshot = broken  # type: ignore[method-assign, assignment]
    with pytest.raises(ValueError, match="hunter2"):
        await world.run(KEY)
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "PassFailed")
    assert message == "nothing is changed: unexpected ValueError; the planner's log says more"


# -- the switch


def switch(stop: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dgdr-planner-switch", "namespace": "dgdr-system"},
        "data": {"stop": stop},
    }


async def test_one_switch_stops_and_its_removal_starts() -> None:
    world = World()
    world.cluster.seed(switch("true"))
    world.metrics.rate_per_s = 9.4
    await world.passes(3)
    assert world.replicas() == (1, 1)
    assert world.condition("Ready")[1] == "Stopped"
    await world.cluster.delete(CONFIG_MAP, "dgdr-system", "dgdr-planner-switch")
    await world.passes()
    assert world.replicas() == (3, 2)


async def test_a_switch_that_says_no_stops_nothing() -> None:
    world = World()
    world.cluster.seed(switch("false"))
    world.metrics.rate_per_s = 9.4
    await world.passes()
    assert world.replicas() == (3, 2)


# -- hands


def by_hand(world: World, component: str, replicas: int, manager: str = "kubectl") -> None:
    """Be somebody else who scales an adapter."""
    name = f"{DGD_NAME}-{component}"
    there = copy.deepcopy(world.cluster.peek(DGDSA, NAMESPACE, name))
    assert there is not None
    there["spec"]["replicas"] = replicas
    there["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "operation": "Update",
            "subresource": "scale",
            "time": world.clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "fieldsV1": {"f:spec": {"f:replicas": {}}},
        }
    ]
    world.cluster.seed(there)


async def test_a_hand_edit_is_left_alone_for_half_an_hour_also_through_a_restart() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes()
    by_hand(world, "decode", 6)
    await world.passes(2)
    assert world.replicas() == (3, 6)
    status, reason, message = world.condition("ScalingLimited")
    assert (status, reason) == ("True", "HandEdited")
    assert message.startswith("decode was set to 6 by kubectl, left alone until 2026-01-01T00:30")
    assert world.events().count(("Warning", "HandEdited")) == 1
    world.restart()
    await world.passes(100)
    assert world.replicas() == (3, 6)
    await world.passes(30)
    assert world.replicas() == (3, 2)
    assert ("Normal", "OwnedAgain") in world.events()


async def test_the_operators_hand_is_ours() -> None:
    world = World()
    world.metrics.rate_per_s = 9.4
    await world.passes()
    by_hand(world, "decode", 1, manager="dgdr-operator")
    await world.passes()
    assert world.replicas() == (3, 2)


# -- budgets


def budget(gpus: int, *members: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "GPUBudget",
        "metadata": {"name": "team", "namespace": NAMESPACE},
        "spec": {"gpus": gpus, "members": list(members or ({"planner": DGD_NAME},))},
    }


def holdings(world: World) -> dict[str, int]:
    found = world.cluster.peek(GPU_BUDGET, NAMESPACE, "team")
    assert found is not None
    held = (found.get("status") or {}).get("holdings", [])
    return {one["planner"]: one["reservedGpus"] for one in held}


async def test_an_own_budget_is_shared_by_need() -> None:
    # Replicas of two GPUs each: five of them instead of the 8 + 5 that 30 requests/s need.
    world = World(sla_planner(budget={"gpus": 10}))
    world.metrics.rate_per_s = 30.0
    await world.passes()
    prefill, decode = world.replicas()
    assert prefill + decode == 5
    assert min(prefill, decode) >= 1
    assert world.condition("ScalingLimited")[1] == "LimitedByBudget"
    assert world.condition("BudgetFeasible")[:2] == ("True", "WithinBudget")


async def test_a_budget_below_the_fewest_replicas_changes_nothing() -> None:
    world = World(sla_planner(budget={"gpus": 3}))
    world.metrics.rate_per_s = 30.0
    await world.passes(2)
    assert world.replicas() == (1, 1)
    assert world.condition("BudgetFeasible") == (
        "False",
        "BudgetInfeasible",
        "the fewest replicas hold 4 GPUs, spec.budget has 3",
    )
    assert world.condition("Stalled")[0] == "True"


async def test_pods_that_stop_hold_their_gpus() -> None:
    world = World(sla_planner(budget={"gpus": 10}))
    for index in range(2):
        world.cluster.seed(stopping_pod(f"old-{index}"))
    world.metrics.rate_per_s = 30.0
    await world.passes()
    # Two pods of two GPUs leave room for three replicas: one more than there are.
    assert sum(world.replicas()) == 3
    assert world.condition("Reconciling")[0] == "True"
    for index in range(2):
        await world.cluster.delete(POD, NAMESPACE, f"old-{index}")
    await world.passes()
    assert sum(world.replicas()) == 5


def stopping_pod(name: str) -> dict[str, Any]:
    labels = {
        "nvidia.com/dynamo-graph-deployment-name": DGD_NAME,
        "nvidia.com/dynamo-component": "decode",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "labels": labels,
            "deletionTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"containers": [{"name": "main"}]},
        "status": {"phase": "Running"},
    }


async def test_a_claim_is_written_before_the_replicas() -> None:
    world = World(sla_planner(budget={"ref": "team"}))
    world.cluster.seed(budget(10))
    world.metrics.rate_per_s = 30.0
    await world.passes()
    assert sum(world.replicas()) == 5
    assert holdings(world) == {DGD_NAME: 10}
    verbs = [(write.verb, write.kind) for write in world.cluster.writes]
    assert verbs.index(("patch_status", "GPUBudget")) < verbs.index(
        ("scale", "DynamoGraphDeploymentScalingAdapter")
    )


@pytest.mark.parametrize("writes", range(5))
async def test_a_kill_at_any_write_never_exceeds_a_shared_budget(writes: int) -> None:
    world = World(sla_planner(budget={"ref": "team"}))
    world.cluster.seed(budget(10))
    world.metrics.rate_per_s = 30.0
    world.cluster.kill_after_writes = writes
    with suppress(Killed):
        await world.run(KEY)
    assert 2 * sum(world.replicas()) <= max(holdings(world).get(DGD_NAME, 4), 4) <= 10
    world.cluster.kill_after_writes = None
    world.restart()
    await world.passes(2)
    assert 2 * sum(world.replicas()) == holdings(world)[DGD_NAME] == 10


def another_deployment(world: World, name: str, replicas: int = 1) -> None:
    """Add a deployment of so many prefill and decode workers, with their adapters."""
    deployed = graph_deployment(replicas, replicas)
    deployed["metadata"]["name"] = name
    world.cluster.seed(deployed)
    for component in ("prefill", "decode"):
        made = adapter(component, replicas)
        made["metadata"]["name"] = f"{name}-{component}"
        made["spec"]["dgdRef"]["name"] = name
        world.cluster.seed(made)


async def test_two_planners_share_and_the_one_that_waits_gets_what_is_let_go() -> None:
    world = World(sla_planner(budget={"ref": "team"}))
    second = sla_planner(budget={"ref": "team"}, targetRef={"name": "r-dgd"})
    second["metadata"]["name"] = "other"
    another_deployment(world, "r-dgd")
    world.cluster.seed(second, budget(14, {"planner": DGD_NAME}, {"planner": "other"}))
    world.metrics.rate_per_s = 30.0
    await world.run(KEY)
    # The other one runs, and nobody knows yet how many GPUs it holds.
    assert world.replicas() == (1, 1)
    await world.run(OTHER)
    await world.run(KEY)
    assert sum(holdings(world).values()) <= 14
    assert sum(world.replicas()) > 2


def turn_to(world: World, target: str) -> None:
    planner = copy.deepcopy(world.cluster.peek(SLA_PLANNER, NAMESPACE, DGD_NAME))
    assert planner is not None
    planner["spec"]["targetRef"]["name"] = target
    world.cluster.seed(planner)
    world.planners.note(planner)


def moved_world(gpus: int) -> World:
    """A planner whose target holds 8 GPUs, and that shall turn to another with much load."""
    world = World(sla_planner(budget={"ref": "team"}, targetRef={"name": "r-dgd"}))
    another_deployment(world, "r-dgd", replicas=2)
    world.cluster.seed(budget(gpus))
    world.metrics.rate_per_s = 30.0
    return world


async def test_what_a_former_target_holds_stays_reserved_until_it_is_gone() -> None:
    world = moved_world(14)
    await world.passes(2)
    assert holdings(world) == {DGD_NAME: 8}
    turn_to(world, DGD_NAME)
    await world.passes(1)
    assert sum(world.replicas()) == 2  # said before it grows
    await world.passes(2)
    assert holdings(world) == {DGD_NAME: 6, f"{DGD_NAME}/r-dgd": 8}
    world.restart()
    await world.passes(3)
    assert 2 * sum(world.replicas()) == 6
    await world.cluster.delete(DGD, NAMESPACE, "r-dgd")
    await world.passes(3)
    assert 2 * sum(world.replicas()) == 14
    assert holdings(world) == {DGD_NAME: 14}


async def test_a_planner_that_turns_back_counts_its_target_once() -> None:
    world = moved_world(14)
    for target in ("r-dgd", DGD_NAME, "r-dgd"):
        turn_to(world, target)
        await world.passes(3)
    assert holdings(world) == {DGD_NAME: 8, f"{DGD_NAME}/{DGD_NAME}": 6}


async def test_a_deployment_that_a_planner_left_and_another_took_counts_once() -> None:
    world = moved_world(18)
    world.cluster.seed(budget(18, {"planner": DGD_NAME}, {"planner": "other"}))
    await world.passes(2)
    turn_to(world, DGD_NAME)
    await world.passes(2)
    other = sla_planner(budget={"ref": "team"}, targetRef={"name": "r-dgd"})
    other["metadata"]["name"] = "other"
    world.cluster.seed(other)
    world.planners.note(other)
    await world.run(OTHER)
    await world.passes(3)
    assert holdings(world) == {DGD_NAME: 10, "other": 8}


async def test_a_planner_that_is_no_member_is_told() -> None:
    world = World(sla_planner(budget={"ref": "team"}))
    world.cluster.seed(budget(10, {"planner": "somebody"}))
    world.metrics.rate_per_s = 30.0
    await world.passes()
    assert world.replicas() == (1, 1)
    assert world.condition("BudgetFeasible") == (
        "False",
        "NotAMember",
        "GPUBudget team has no member q-dgd; add it to spec.members",
    )


async def test_a_claim_that_cannot_be_written_keeps_the_replicas() -> None:
    world = World(sla_planner(budget={"ref": "team"}))
    world.cluster.seed(budget(10))
    world.metrics.rate_per_s = 30.0
    world.cluster.refuse("patch_status", GPU_BUDGET, Rejected(403, "forbidden"))
    with pytest.raises(Rejected):
        await world.run(KEY)
    assert world.replicas() == (1, 1)
    assert world.condition("Ready")[1] == "PassFailed"


# -- a shadow's books

GPU_HOURS = ("gpuHours", "actualGpuHours")


async def test_a_shadow_goes_on_from_what_it_would_have_asked_for_and_counts_its_cost() -> None:
    step = {"scaleUp": {"maxStep": 1}}
    world = World(sla_planner(mode="Shadow", behavior=step))
    world.metrics.rate_per_s = 9.4
    await world.passes(4)
    assert world.replicas() == (1, 1)
    told = [decision["prefill"] for decision in world.status()["decisions"]]
    assert told == [{"from": 2, "to": 3}, {"from": 1, "to": 2}]
    world.seconds += 3600 - 60
    await world.passes()
    books = world.status()["shadow"]
    assert books["actualGpuHours"] == pytest.approx(4.0, abs=0.1)
    assert 8.0 < books["gpuHours"] < 10.1


async def test_a_shadow_goes_on_after_a_restart_from_what_it_would_have_asked_for() -> None:
    world = World(sla_planner(mode="Shadow"))
    for component in ("prefill", "decode"):
        world.cluster.seed(adapter(component, 8))
    world.metrics.rate_per_s = 9.4
    await world.passes(40)
    before = world.status()
    assert before["decisions"][0]["reason"] == "WouldScaleDown"
    assert (before["shadow"]["prefill"], before["shadow"]["decode"]) == (3, 2)
    world.restart()
    await world.passes(40)
    after = world.status()
    assert after["decisions"] == before["decisions"]
    hours = {name: after["shadow"][name] - before["shadow"][name] for name in GPU_HOURS}
    assert hours["gpuHours"] == pytest.approx(5 / 16 * hours["actualGpuHours"], rel=0.02)
    world.metrics.rate_per_s = 2.0
    await world.passes(40)
    assert world.status()["decisions"][0]["prefill"] == {"from": 3, "to": 1}


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_shadow_of_another_target_begins_anew(restarted: bool) -> None:
    world = World(sla_planner(mode="Shadow"))
    another_deployment(world, "r-dgd", replicas=2)
    world.metrics.rate_per_s = 30.0
    await world.passes(40)
    first = world.status()["shadow"]
    assert first["target"] == DGD_NAME
    assert first["prefill"] > 2
    turn_to(world, "r-dgd")
    if restarted:
        world.restart()
    await world.passes()
    second = world.status()["shadow"]
    assert second["target"] == "r-dgd"
    assert "prefill" not in second
    assert second["since"] > first["since"]
    world.seconds += 3600.0
    await world.passes()
    hours = world.status()["shadow"]
    assert hours["gpuHours"] == hours["actualGpuHours"] == pytest.approx(8.0, abs=0.1)


async def test_a_shadow_goes_on_from_a_status_that_does_not_name_its_target() -> None:
    world = World(sla_planner(mode="Shadow"))
    world.metrics.rate_per_s = 9.4
    await world.passes(40)
    before = world.status()["shadow"]
    planner = copy.deepcopy(world.cluster.peek(SLA_PLANNER, NAMESPACE, DGD_NAME))
    assert planner is not None
    del planner["status"]["shadow"]["target"]
    world.cluster.seed(planner)
    world.restart()
    world.seconds += 300.0
    await world.passes()
    after = world.status()["shadow"]
    assert (after["target"], after["since"]) == (DGD_NAME, before["since"])
    assert (after["prefill"], after["decode"]) == (before["prefill"], before["decode"])
