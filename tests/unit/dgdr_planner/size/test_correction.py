import math
import re
from dataclasses import replace

import pytest

from dgdr_api.graph import Role
from dgdr_perf.sizing import Targets
from dgdr_planner.decide import decide
from dgdr_planner.observe.observation import LoadSeen, Observation
from dgdr_planner.observe.value import Unknown, Value
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.size.correction import learned
from dgdr_planner.size.curves import corrected
from dgdr_planner.state import State
from dgdr_planner.tell import explain
from support.planning import EXACTLY, PROFILE, at, load, policy, target


@pytest.mark.parametrize(
    ("observed_ms", "expected_ms", "requests", "ratio"),
    [
        pytest.param(150, 100, 100, 1.1, id="a fifth of the way"),
        pytest.param(900, 100, 100, 1.2, id="never beyond two"),
        pytest.param(50, 100, 100, 1.0, id="never below one"),
        pytest.param(150, 100, 29, 1.0, id="too few requests"),
        pytest.param(None, 100, 100, 1.0, id="nobody knows"),
        pytest.param(150, math.inf, 100, 1.0, id="a queue without end"),
    ],
)
def test_a_window_teaches(
    observed_ms: float | None, expected_ms: float, requests: float, ratio: float
) -> None:
    assert learned(1.0, observed_ms, expected_ms, requests) == pytest.approx(ratio)


def test_what_was_learned_is_forgotten_when_engines_are_as_measured() -> None:
    ratio = 2.0
    for _ in range(30):
        ratio = learned(ratio, 100, 100, 100)
    assert ratio == pytest.approx(1.0, abs=0.01)


def test_the_ratio_tightens_the_target_that_the_role_serves() -> None:
    targets = Targets(ttft_ms=300, itl_ms=30)
    assert corrected(targets, Role.PREFILL, 1.5) == Targets(ttft_ms=200, itl_ms=30)
    assert corrected(targets, Role.DECODE, 1.5) == Targets(ttft_ms=300, itl_ms=20)
    assert corrected(targets, Role.DECODE, 1.0) is targets


def steady(itl_ms: float, ticks: int, *, ready: int | None = None) -> Decision:
    """Decide on a load that two decode replicas carry, while tokens take this long."""
    state, how = State(), policy(interval_s=60, max_step_up=None)
    for tick in range(ticks):
        seen = replace(load(9.4), window_s=60, itl_ms=Value(itl_ms), ttft_ms=Value(200))
        there = target(3, 2) if ready is None else target(3, 2, ready=ready)
        what = Observation(target=there, load=seen)
        decision = decide(what, PROFILE, how, state, at(60 * tick), forecaster=EXACTLY)
        state = decision.state
    return decision


def decode_of(decision: Decision) -> int:
    assert isinstance(decision.outcome, Plan)
    return decision.outcome.roles[1].replicas


def test_engines_that_are_slower_than_their_curves_get_help() -> None:
    assert decode_of(steady(22.0, 10)) == 2
    assert decode_of(steady(40.0, 10)) > 2


def test_a_decision_says_that_engines_are_slower_than_profiled() -> None:
    outcome = steady(40.0, 10).outcome
    assert isinstance(outcome, Plan)
    prefill, decode = (explain.why(role, outcome.forecast, policy()) for role in outcome.roles)
    assert "slower" not in prefill
    assert re.search(r"; engines are 1\.[4-9]\d x slower than profiled", decode)


def test_replicas_that_are_still_starting_teach_nothing() -> None:
    decision = steady(40.0, 10, ready=1)
    assert decision.state.correction.ratios == {Role.PREFILL: 1.0, Role.DECODE: 1.0}


def decided_at(seconds: float, state: State, load_: LoadSeen) -> State:
    what = Observation(target=target(3, 2), load=load_)
    how = policy(interval_s=60, max_step_up=None)
    return decide(what, PROFILE, how, state, at(seconds), forecaster=EXACTLY).state


def test_a_second_look_at_the_same_window_teaches_nothing() -> None:
    slow = replace(load(9.4), window_s=60, itl_ms=Value(40.0), ttft_ms=Value(200))
    state = State()
    for tick in range(4):
        state = decided_at(60 * tick, state, slow)
    assert decided_at(182, state, slow).correction.ratios == state.correction.ratios
    assert (
        decided_at(240, state, slow).correction.ratios[Role.DECODE]
        > state.correction.ratios[Role.DECODE]
        > 1.0
    )


def test_the_window_after_an_unknown_one_teaches_nothing() -> None:
    slow = replace(load(9.4), window_s=60, itl_ms=Value(40.0), ttft_ms=Value(200))
    state = State()
    for tick in range(4):
        state = decided_at(60 * tick, state, slow)
    gone = replace(slow, rate_per_s=Unknown("NoSeries", "nothing"))
    after = decided_at(300, decided_at(240, state, gone), slow)
    assert after.correction.ratios == state.correction.ratios


def test_what_a_burst_left_over_teaches_nothing() -> None:
    quick = replace(load(9.4), window_s=60, itl_ms=Value(20.0), ttft_ms=Value(150))
    state = State()
    for tick in range(3):
        state = decided_at(60 * tick, state, quick)
    burst = replace(load(200.0), window_s=60, itl_ms=Value(40.0), ttft_ms=Value(5000))
    after = replace(load(9.4), window_s=60, itl_ms=Value(40.0), ttft_ms=Value(5000))
    state = decided_at(240, decided_at(180, state, burst), after)
    assert state.correction.ratios == {Role.PREFILL: 1.0, Role.DECODE: 1.0}
