"""What looks between two ticks change of a decision, and what they must not."""

from dataclasses import replace

import pytest

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import SizingPolicy, WhenUnreachable
from dgdr_planner.ahead import rises
from dgdr_planner.decide import decide
from dgdr_planner.observe.looks import Look
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import Trouble
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.policy import Policy
from dgdr_planner.state import State
from support.planning import EXACTLY, POLICY, PROFILE, at, load, policy, seeing

FRESH = State()


def looks(*rates_per_s: float, until_s: float) -> tuple[Look, ...]:
    """Looks of 15 s each, the last one at ``until_s``."""
    ends_s = [until_s - 15.0 * number for number in reversed(range(len(rates_per_s)))]
    return tuple(
        Look(at_s=at(end_s).timestamp(), window_s=15.0, rate_per_s=rate_per_s)
        for end_s, rate_per_s in zip(ends_s, rates_per_s, strict=True)
    )


def decided(
    what: LoadSeen,
    there: tuple[int, int],
    seen: tuple[Look, ...],
    *,
    state: State = FRESH,
    how: Policy = POLICY,
    seconds: float = 0,
    is_fast: bool = False,
) -> Decision:
    found = replace(seeing(what, *there), looks=seen)
    found = found.looked(seen) if is_fast else found
    return decide(found, PROFILE, how, state, at(seconds), forecaster=EXACTLY)


def plan(decision: Decision) -> Plan:
    assert isinstance(decision.outcome, Plan)
    return decision.outcome


def replicas(decision: Decision) -> tuple[int, ...]:
    return tuple(role.replicas for role in plan(decision).roles)


HOPELESS = replace(POLICY.targets, ttft_ms=1.0)
QUANTILE = policy(quantile=0.9)
SWITCH = Trouble("Switch", "somebody has thrown it")


def test_an_idle_target_gives_up_what_max_out_had_taken() -> None:
    how = replace(QUANTILE, targets=HOPELESS, when_unreachable=WhenUnreachable.MAX_OUT)
    state, there = decided(load(8.0), (1, 1), (), how=how).state, (8, 8)
    for tick in range(1, 16):
        seconds = 30.0 * tick
        decision = decided(
            load(0), there, looks(0, 0, until_s=seconds), state=state, how=how, seconds=seconds
        )
        assert plan(decision).forecast.planned == 0.0
        state, there = decision.state, (replicas(decision)[0], replicas(decision)[1])
    assert there == (1, 1)


def test_classic_sizing_of_an_idle_target_is_no_trouble() -> None:
    how = replace(QUANTILE, targets=HOPELESS, sizing=SizingPolicy.CLASSIC)
    assert plan(decided(load(0), (1, 1), looks(0, until_s=0), how=how)).forecast.planned == 0.0


def test_classic_sizing_plans_for_what_ticks_see() -> None:
    how = replace(QUANTILE, sizing=SizingPolicy.CLASSIC)
    seen = decided(load(2.0), (1, 1), looks(40, 40, until_s=0), how=how)
    assert plan(seen).forecast.raised is None


@pytest.mark.parametrize(("last", "rises"), [(0.0, False), (40.0, True)])
def test_a_tick_that_saw_nothing_is_raised_by_what_came_last_only(last: float, rises: bool) -> None:
    past = decided(load(8.0), (1, 1), ()).state
    found = decided(load(0), (1, 1), looks(40, last, until_s=60), state=past, seconds=60)
    assert (plan(found).forecast.raised is not None) is rises


def test_a_fast_pass_that_adds_nothing_leaves_patience_as_it_was() -> None:
    """Prefill is short of replicas; decode has too many, and was about to give some up."""
    state = FRESH
    for tick in range(12):
        state = decided(load(2.0), (1, 4), (), state=state, seconds=15.0 * tick).state
    seen = looks(9.4, 9.4, until_s=180)
    fast = decided(load(2.0), (1, 4), seen, state=state, seconds=180, is_fast=True)
    assert replicas(fast)[0] > 1
    assert state.histories[Role.DECODE].below_since is not None
    assert fast.state.histories[Role.DECODE] == state.histories[Role.DECODE]
    assert fast.state.histories[Role.PREFILL] != state.histories[Role.PREFILL]


def test_fast_passes_between_two_ticks_make_one_step() -> None:
    how = policy(max_step_up=1)
    state, there = decided(load(2.0), (1, 1), (), how=how).state, (1, 1)
    for seconds, rate_per_s in ((15, 20), (30, 40), (45, 80)):
        seen = looks(rate_per_s, rate_per_s, until_s=seconds)
        decision = decided(
            load(2.0), there, seen, state=state, how=how, seconds=seconds, is_fast=True
        )
        state, there = decision.state, (replicas(decision)[0], replicas(decision)[1])
    assert there == (2, 2)
    tick = decided(load(80.0), there, (), state=state, how=how, seconds=60)
    assert replicas(tick) == (3, 3)


def test_a_held_planner_waits_for_the_tick() -> None:
    seen = looks(40, 40, until_s=15)
    state = decided(load(2.0), (1, 1), ()).state
    assert rises(state, seen, POLICY, at(15))
    short = policy(budget_gpus=1)
    for held in (
        decide(replace(seeing(load(2.0)), hold=SWITCH), PROFILE, POLICY, state, at(0)),
        decided(load(2.0), (1, 1), (), state=state, how=short),
    ):
        assert isinstance(held.outcome, Trouble)
        assert not rises(held.state, seen, POLICY, at(15))
        again = decided(load(2.0), (1, 1), (), state=held.state, seconds=1)
        assert rises(again.state, seen, POLICY, at(15))
