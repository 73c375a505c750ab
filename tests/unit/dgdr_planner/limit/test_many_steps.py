"""A wish for many replicas is told in runs, and is no smaller for it."""

import random
from dataclasses import replace

import pytest

from dgdr_api.graph import Role
from dgdr_api.models.gpu_budget import MAX_STEPS, GPUBudget
from dgdr_planner.limit import budget
from dgdr_planner.limit.budget import RoleDemand, plan_shared, shares
from dgdr_planner.observe.budget import BudgetSeen, Claim, Member, budget_seen, claim_of
from dgdr_planner.observe.value import Trouble
from dgdr_planner.tell.budget import is_news, status_with
from support.budget_world import Tally, World
from support.planner_status import gpu_budget
from support.planning import at


def demand(
    need: float, there: int = 1, gpus_each: int = 1, which: Role = Role.PREFILL
) -> RoleDemand:
    return RoleDemand(
        role=which,
        gpus_each=gpus_each,
        replicas=there,
        held=there,
        fewest=1,
        asked=-int(-need // 1),
        need=need,
        rate_per_s=10.0,
    )


def alone(gpus: int, *demands: RoleDemand) -> budget.GpuPlan:
    return plan_shared(demands, BudgetSeen(name="team", gpus=gpus, me=Member(name="me")))


def wish(*demands: RoleDemand) -> Claim:
    claim = alone(10_000, *demands).claim
    assert claim is not None
    return claim


@pytest.mark.parametrize("there", [1, 50, 100])
@pytest.mark.parametrize(("gpus", "need", "given"), [(200, 100, 100), (200, 300, 200)])
def test_a_planner_gets_what_it_needs_however_many(
    there: int, gpus: int, need: int, given: int
) -> None:
    assert alone(gpus, demand(need, there)).replicas == {Role.PREFILL: given}


def test_all_that_is_wanted_is_told() -> None:
    two = demand(150.5, gpus_each=1), demand(90.2, gpus_each=4, which=Role.DECODE)
    claim = wish(*two)
    assert claim.floor_gpus + sum(step.gpus for step in claim.steps) == 151 + 4 * 91
    assert sum(step.replicas for step in claim.steps) == 150 + 90
    assert len(claim.steps) <= MAX_STEPS
    gains = [step.gain for step in claim.steps]
    assert gains == sorted(gains, reverse=True)


def test_few_replicas_are_told_one_by_one() -> None:
    assert [step.replicas for step in wish(demand(MAX_STEPS + 1)).steps] == [1] * MAX_STEPS


def test_what_may_not_be_changed_is_no_run_with_what_may() -> None:
    fixed = replace(demand(5, there=5), fixed=True)
    claim = wish(fixed, demand(150.5, which=Role.DECODE))
    kept = [step for step in claim.steps if step.gain >= budget.KEEP * 10.0]
    assert {step.gain for step in kept} == {budget.FIXED_GAIN}
    assert sum(step.replicas for step in kept) == 4


def test_a_run_is_given_in_part() -> None:
    """Whole replicas of it: GPUs that make no replica are left to others."""
    big = Member(name="big", claim=wish(demand(100, gpus_each=4)))
    small = Member(name="small", claim=wish(demand(30.0)))
    assert shares(303, (big,)) == {"big": 300}
    assert shares(303, (big, small)) == {"big": 272, "small": 30}


def test_runs_are_the_same_for_those_who_read_them() -> None:
    manifest = GPUBudget.parse(gpu_budget(400))
    seen = budget_seen(manifest, "q-dgd", frozenset(), {})
    assert not isinstance(seen, Trouble)
    claim = replace(wish(demand(300.0)), target="q")
    told = manifest.model_copy(update={"status": status_with(manifest, seen, claim, "q", at(0))})
    read = claim_of(told.status.holding("q-dgd"))
    assert read is not None
    assert [(one.gpus, one.replicas) for one in read.steps] == [
        (one.gpus, one.replicas) for one in claim.steps
    ]
    assert not is_news(told, "q-dgd", claim)
    assert is_news(told, "q-dgd", replace(claim, steps=claim.steps[:-1]))


def test_the_budget_and_the_guarantees_hold_with_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MAX_STEPS", 4)
    tally = Tally()
    for seed in range(60):
        tally.add(World.of(random.Random(seed)).run(250))
    assert (tally.over_budget, tally.below_guarantee, tally.below_fewest) == (0, 0, 0)
    assert tally.starved == 0
    assert tally.grown > 200
