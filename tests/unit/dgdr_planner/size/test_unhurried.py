"""What is given back, and when: not by who has just come, and then without a step limit."""

from dataclasses import replace

import pytest

from dgdr_api.graph import Role
from dgdr_planner.decide import decide
from dgdr_planner.forecast import Demand, Forecast
from dgdr_planner.limit.guards import History, guard
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.observation import LoadSeen, Observation
from dgdr_planner.observe.value import Idle
from dgdr_planner.plan import Plan
from dgdr_planner.policy import Limits
from dgdr_planner.size.need import replicas_needed
from dgdr_planner.state import State
from support.planning import PROFILE, at, load, policy, target

HOW = policy(interval_s=60.0, stabilization_s=0, quantile=0.9, forecast_model="Auto")
LITTLE = replace(load(1.0), window_s=60.0)


def after(windows: int, seen: LoadSeen) -> int:
    """Prefill replicas that are kept of eight when so many windows of little load were seen."""
    past = [Sample.of(LITTLE, at(-60.0 * back).timestamp()) for back in range(windows - 1, 0, -1)]
    what = Observation(target=target(8, 8), load=seen)
    outcome = decide(what, PROFILE, HOW, State(demand=Demand.restored(past)), at(0)).outcome
    assert isinstance(outcome, Plan)
    return next(role.replicas for role in outcome.roles if role.seen.role is Role.PREFILL)


def test_who_has_seen_nine_windows_gives_nothing_back() -> None:
    assert after(9, LITTLE) == 8


def test_who_has_seen_ten_windows_gives_back_what_they_did_not_need() -> None:
    assert after(10, LITTLE) == 1


def test_windows_that_nobody_saw_do_not_count() -> None:
    unseen = [
        Sample(at_s=at(-60.0 * back).timestamp(), window_s=60.0, rate_per_s=None)
        for back in range(20, 0, -1)
    ]
    what = Observation(target=target(8, 8), load=LITTLE)
    outcome = decide(what, PROFILE, HOW, State(demand=Demand.restored(unseen)), at(0)).outcome
    assert isinstance(outcome, Plan)
    assert [role.replicas for role in outcome.roles] == [8, 8]


def idle_for(windows: int, current: int) -> int:
    silent = [Sample(at_s=60.0 * tick, window_s=60.0, rate_per_s=0.0) for tick in range(windows)]
    idle = replace(load(0), rate_per_s=Idle(), isl=Idle(), osl=Idle(), window_s=60.0)
    past, forecast = Demand.restored(silent), Forecast(rate_per_s=0.0)
    return replicas_needed(idle, None, forecast, current, 1, (), past, patience_s=120.0).replicas


def test_a_silence_that_may_be_an_outage_gives_nothing_back() -> None:
    assert [idle_for(windows, 8) for windows in (0, 1, 2)] == [8, 8, 8]


@pytest.mark.parametrize(("current", "after_"), [(8, 4), (5, 2), (2, 1), (1, 1), (0, 0)])
def test_a_longer_silence_gives_back_half_at_a_time(current: int, after_: int) -> None:
    assert idle_for(3, current) == after_


def test_a_gap_is_no_silence() -> None:
    seen = [(60.0, 0.0), (120.0, 0.0), (180.0, None), (240.0, 0.0), (300.0, 0.0)]
    samples = [Sample(at_s=at_s, window_s=60.0, rate_per_s=rate) for at_s, rate in seen]
    assert Demand.restored(samples).idle_s == 120.0
    assert Demand.restored(samples[:2]).idle_s == 120.0
    assert Demand.restored(samples[:3]).idle_s == 0.0


def test_without_a_limit_all_is_given_back_in_one_step() -> None:
    how = policy(stabilization_s=0, max_step_down=None)
    found = guard(1, 40, Limits(fewest=1, most=64), how, History(), at(0))
    assert (found.replicas, found.limit) == (1, None)
