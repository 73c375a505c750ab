"""Planners that change deployments: what these hold counts, and counts once."""

from typing import Any

import pytest

from dgdr_api.graph import Role
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_planner.limit.budget import GpuPlan, RoleDemand, plan_shared
from dgdr_planner.observe.budget import BudgetSeen, budget_seen
from dgdr_planner.tell.budget import status_with
from support.planner_status import gpu_budget
from support.planning import at

HELD = 8


def holding(planner: str, target: str, gpus: int = HELD, **more: Any) -> dict[str, Any]:
    steps = [{"gpus": 1, "gain": 1.0 / (1 + step)} for step in range(max(gpus - 1, 0))]
    told = {"planner": planner, "target": target, "reservedGpus": gpus, "floorGpus": 1}
    return told | {"steps": steps} | more


def left(planner: str, target: str) -> dict[str, Any]:
    return holding(f"{planner}/{target}", target, floorGpus=0, fixed=True, steps=[])


def budget(*holdings: dict[str, Any], gpus: int = 2 * HELD) -> GPUBudget:
    members = [{"planner": name} for name in ("p", "q", "r", "x")]
    spec = {"gpus": gpus, "members": members}
    return GPUBudget.parse(gpu_budget(gpus) | {"spec": spec, "status": {"holdings": holdings}})


def seen_by(
    planner: str, there: GPUBudget, running: str, pods: dict[str, int] | None = None
) -> BudgetSeen:
    """What a planner sees; who is gone left a deployment that holds 8, or what ``pods`` say."""
    gone = [one.planner for one in there.status.holdings if one.planner not in running]
    seen = budget_seen(there, planner, frozenset(running), pods or dict.fromkeys(gone, HELD))
    assert isinstance(seen, BudgetSeen)
    return seen


def planned(seen: BudgetSeen) -> GpuPlan:
    """Plan for a deployment that holds 8 GPUs and needs them."""
    demand = RoleDemand(
        role=Role.DECODE,
        gpus_each=1,
        replicas=HELD,
        held=HELD,
        fewest=1,
        asked=HELD,
        need=float(HELD),
        rate_per_s=10.0,
    )
    return plan_shared((demand,), seen)


def turned(planner: str, there: GPUBudget, running: str, target: str) -> GPUBudget:
    """Let a planner take its turn for a deployment that holds 8, and keep all of them."""
    seen = seen_by(planner, there, running).scaling(target, HELD)
    plan = planned(seen)
    assert plan.replicas == {Role.DECODE: HELD}
    assert plan.claim is not None
    status = status_with(there, seen, plan.claim, target, at(0))
    return there.model_copy(update={"status": status})


def held(there: GPUBudget) -> dict[str, int]:
    return {one.planner: one.reserved_gpus for one in there.status.holdings}


@pytest.mark.parametrize(
    ("there", "planner", "running", "target", "after"),
    [
        ([holding("p", "B"), left("p", "A")], "r", "pr", "A", {"p": 8, "r": 8}),
        (
            [holding("p", "B"), left("p", "A"), holding("r", "C", 0)],
            "r",
            "pr",
            "A",
            {"p": 8, "r": 8},
        ),
        ([holding("p", "A"), holding("q", "B")], "p", "p", "B", {"p": 8, "p/A": 8}),
        ([holding("p", "B"), left("p", "A")], "p", "p", "A", {"p": 8, "p/B": 8}),
        ([holding("p", "A"), holding("q", "A")], "p", "p", "B", {"p": 8, "p/A": 8}),
    ],
    ids=["created", "moved", "moved-to-one-that-is-left", "back", "away-from-one-that-is-left"],
)
def test_a_planner_that_takes_a_deployment_over_keeps_its_replicas(
    there: list[dict[str, Any]], planner: str, running: str, target: str, after: dict[str, int]
) -> None:
    assert held(turned(planner, budget(*there), running, target)) == after


@pytest.mark.parametrize("turns", ["pqpq", "ppqq", "qqqpp"])
def test_planners_that_swap_keep_the_replicas_of_both(turns: str) -> None:
    there = budget(holding("p", "A"), holding("q", "B"))
    for planner in turns:
        there = turned(planner, there, "pq", {"p": "B", "q": "A"}[planner])
    assert held(there) == {"p": 8, "q": 8}


def test_who_looks_on_while_others_swap_keeps_its_replicas() -> None:
    there = budget(holding("p", "A"), holding("q", "B"), holding("x", "X"), gpus=3 * HELD)
    there = turned("p", there, "pqx", "B")
    there = turned("x", there, "pqx", "X")
    assert seen_by("x", there, "pqx").room() < HELD  # nothing to grow by until q has said it


@pytest.mark.parametrize("claimed", [8, 4])
def test_what_nobody_else_claims_of_a_deployment_stays_reserved(claimed: int) -> None:
    """The owner grew it to 12 and was deleted; another has claimed less of it."""
    pods = {"p": 12}
    there = budget(holding("p", "A", 12), holding("r", "A", claimed), holding("x", "X", 4))
    assert seen_by("x", there, "rx", pods).scaling("X", 4).room() == 4
    owner = seen_by("r", there, "rx", pods).scaling("A", claimed)
    assert owner.room() == 16 - 4 - (12 - claimed)
    all_of_it = seen_by("r", there, "rx", pods).scaling("A", 12)
    assert all_of_it.room() == 12


def test_a_deployment_that_two_left_counts_once() -> None:
    there = budget(holding("p", "A"), holding("q", "A"), holding("x", "X"))
    assert seen_by("x", there, "x").scaling("X", HELD).room() == HELD


def test_what_nobody_else_claims_is_not_forgotten_while_another_grows() -> None:
    """r scales 4 of the 12 GPUs that p left, and has claimed 8 more that no pods hold yet."""
    there = budget(holding("r", "A", 12), left("p", "A"), holding("x", "X"), gpus=32)
    seen = seen_by("x", there, "rx", {"p/A": 12}).scaling("X", HELD)
    claim = planned(seen).claim
    assert claim is not None
    there = there.model_copy(update={"status": status_with(there, seen, claim, "X", at(0))})
    after = seen_by("x", there, "rx", {"p/A": 20}).scaling("X", HELD)
    assert after.room() == 32 - 12 - 8
