"""Late windows add at once and bounded, hold what is there, and are forgotten with evidence."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.graph import Role
from dgdr_planner.decide import decide
from dgdr_planner.observe.observation import LoadSeen, Observation
from dgdr_planner.observe.value import Unknown, Value
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.size.correction import FORGOTTEN, MOST, NONE, SPARE, STEPS, corrected
from dgdr_planner.state import State
from dgdr_planner.tell import explain
from support.planning import EXACTLY, PROFILE, at, load, policy, target

SLOW = replace(load(9.4), window_s=60, itl_ms=Value(45.0), ttft_ms=Value(200))
QUICK = replace(SLOW, itl_ms=Value(15.0))
NO_LIMIT = policy(interval_s=60, max_step_up=None)


@pytest.mark.parametrize(
    ("factor", "used", "is_settled", "after"),
    [
        pytest.param(1.0, 1.1, True, 1.25, id="a late window adds at once"),
        pytest.param(1.25, 1.1, False, 1.25, id="not while replicas start"),
        pytest.param(1.25, 1.1, True, 1.5, id="again when they are there and it is still late"),
        pytest.param(2.0, 9.0, True, 2.0, id="never beyond twice"),
        pytest.param(1.5, 0.8, True, 1.5, id="just in time holds"),
        pytest.param(1.4, 0.3, True, 1.26, id="with room to spare a third goes"),
        pytest.param(1.0, 0.3, True, 1.0, id="engines that are quick take nothing away"),
    ],
)
def test_a_window_corrects(factor: float, used: float, is_settled: bool, after: float) -> None:
    assert corrected(factor, used, 0.25, is_settled) == pytest.approx(after)


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=100))
def test_no_course_of_windows_runs_away(course: list[tuple[float, bool]]) -> None:
    factor = NONE
    for used, is_settled in course:
        before, factor = factor, corrected(factor, used, 0.5, is_settled)
        assert NONE <= factor <= min(MOST, before + 0.5)


def test_a_correction_ends_when_windows_have_room_to_spare() -> None:
    factor = MOST
    for _ in range(60):
        factor = corrected(factor, SPARE / 2, 0.25, True)
    assert factor == NONE < FORGOTTEN


def decided(seconds: float, state: State, seen: LoadSeen, ready: int | None = None) -> Decision:
    there = target(3, 2) if ready is None else target(3, 2, ready=ready)
    what = Observation(target=there, load=seen)
    return decide(what, PROFILE, NO_LIMIT, state, at(seconds), forecaster=EXACTLY)


def after(windows: list[LoadSeen], ready: int | None = None) -> Decision:
    state = State()
    for tick, seen in enumerate(windows):
        decision = decided(60 * tick, state, seen, ready)
        state = decision.state
    return decision


def decode_of(decision: Decision) -> int:
    assert isinstance(decision.outcome, Plan)
    return decision.outcome.roles[1].replicas


def test_engines_that_are_slower_than_their_curves_get_help() -> None:
    assert decode_of(after([QUICK] * 6)) == 2
    assert decode_of(after([SLOW] * 6)) > 2


def test_a_decision_says_that_requests_were_late() -> None:
    outcome = after([SLOW] * 6).outcome
    assert isinstance(outcome, Plan)
    prefill, decode = (explain.why(role, outcome.forecast, policy()) for role in outcome.roles)
    assert "late" not in prefill
    assert re.search(r"; that is 2\.00 x what the curves say, because requests were late", decode)


def test_a_role_that_is_late_gives_nothing_up() -> None:
    low = replace(load(2.0), window_s=60, ttft_ms=Value(200))
    windows = [replace(low, itl_ms=Value(15.0))] * 16
    assert decode_of(after(windows)) == 1
    assert decode_of(after([*windows[:-1], replace(low, itl_ms=Value(45.0))])) == 2


def test_while_replicas_start_late_windows_add_nothing() -> None:
    assert after([SLOW] * 10, ready=1).state.correction.factor(Role.DECODE) == NONE


def test_a_late_window_adds_one_step() -> None:
    assert after([SLOW] * 2).state.correction.factor(Role.DECODE) == NONE + STEPS[Role.DECODE]


def test_a_second_look_at_the_same_window_says_nothing_new() -> None:
    state = after([SLOW] * 2).state
    assert decided(62, state, SLOW).state.correction.factors == state.correction.factors


def test_an_unknown_window_changes_no_correction() -> None:
    state = after([SLOW] * 2).state
    gone = replace(SLOW, rate_per_s=Unknown("NoSeries", "nothing"))
    assert decided(120, state, gone).state.correction.factors == state.correction.factors


def test_a_few_requests_are_late_by_chance() -> None:
    rare = replace(SLOW, rate_per_s=Value(0.2))
    assert after([rare] * 6).state.correction.factor(Role.DECODE) == NONE


def test_a_target_that_no_replica_meets_is_not_chased() -> None:
    hopeless = replace(NO_LIMIT, targets=replace(NO_LIMIT.targets, itl_ms=1.0))
    what, state = Observation(target=target(3, 2), load=SLOW), State()
    for tick in range(6):
        state = decide(what, PROFILE, hopeless, state, at(60 * tick), forecaster=EXACTLY).state
    assert state.correction.factor(Role.DECODE) == NONE
    assert Role.DECODE not in state.correction.late


def test_a_late_first_token_that_decode_causes_adds_no_prefill() -> None:
    equal = ((0.0, 2048.0), (1.0, 2048.0))
    stuck = replace(SLOW, ttft_ms=Value(5000.0), isl_quantiles=equal)
    assert after([stuck] * 4).state.correction.factor(Role.PREFILL) == NONE
    assert after([stuck] * 4).state.correction.factor(Role.DECODE) > NONE


def test_decode_that_somebody_else_scales_is_seen_to_be_late() -> None:
    limits = {Role.PREFILL: NO_LIMIT.limits[Role.PREFILL]}
    alone = replace(NO_LIMIT, limits=limits)
    stuck = replace(SLOW, ttft_ms=Value(5000.0), isl_quantiles=((0.0, 2048.0), (1.0, 2048.0)))
    there = replace(target(3), roles=(target(3).role(Role.PREFILL),))
    state = State()
    for tick in range(4):
        what = Observation(target=there, load=stuck)
        state = decide(what, PROFILE, alone, state, at(60 * tick), forecaster=EXACTLY).state
    assert state.correction.factors == {Role.PREFILL: NONE}
