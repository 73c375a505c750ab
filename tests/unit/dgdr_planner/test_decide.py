import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_api.graph import Role
from dgdr_planner.decide import decide
from dgdr_planner.forecast import Demand
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.observation import LoadSeen, Observation
from dgdr_planner.observe.value import Trouble, Unknown, Value
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.policy import Limits, Policy
from dgdr_planner.state import State
from dgdr_planner.tell import explain
from support.planning import EXACTLY, POLICY, PROFILE, at, load, policy, seeing, unknown

FRESH = State()


def decided(
    what: LoadSeen,
    prefill: int = 1,
    decode: int = 1,
    *,
    state: State = FRESH,
    how: Policy = POLICY,
    seconds: float = 0,
) -> Decision:
    seen = seeing(what, prefill, decode)
    return decide(seen, PROFILE, how, state, at(seconds), forecaster=EXACTLY)


def plan(decision: Decision) -> Plan:
    assert isinstance(decision.outcome, Plan)
    return decision.outcome


def replicas(decision: Decision) -> tuple[int, ...]:
    return tuple(role.replicas for role in plan(decision).roles)


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        pytest.param(0.5, (1, 1), id="little load"),
        pytest.param(9.4, (3, 2), id="prefill first"),
        pytest.param(30, (7, 5), id="both"),
        pytest.param(300, (8, 8), id="more than is allowed"),
    ],
)
def test_replicas_follow_the_load(rate: float, expected: tuple[int, int]) -> None:
    assert replicas(decided(load(rate))) == expected


def test_idle_shrinks_by_halves_when_it_has_lasted() -> None:
    state, seen = FRESH, []
    current = (4, 3)
    for tick in range(16):
        decision = decided(load(0), *current, state=state, seconds=30 * tick)
        state, current = decision.state, replicas(decision)
        seen.append(current)
    assert seen == [(4, 3)] * 5 + [(2, 1)] * 3 + [(1, 1)] * 8


def test_answers_in_flight_keep_their_replicas_while_nothing_arrives() -> None:
    state, current = FRESH, (4, 3)
    busy = replace(load(9.4), rate_per_s=Value(0.0))
    for tick in range(40):
        decision = decided(busy, *current, state=state, seconds=15 * tick)
        state, current = decision.state, replicas(decision)
    assert current == (4, 3)


def test_unknown_changes_nothing_however_long() -> None:
    state = decided(load(9.4), 3, 2).state
    for tick in range(100):
        decision = decided(unknown(), 3, 1, state=state, seconds=15 * tick)
        assert decision.outcome == Trouble("PrometheusUnreachable", "Prometheus is away")
        assert decision.state.histories == state.histories


def test_load_is_served_again_right_after_an_outage() -> None:
    state = decided(unknown(), 1, 1).state
    assert replicas(decided(load(9.4), state=state, seconds=15)) == (3, 2)


def test_idleness_after_an_outage_waits_for_a_window() -> None:
    state = decided(load(9.4), 3, 2).state
    assert replicas(decided(load(0), 3, 1, state=state, seconds=600)) == (3, 1)


def test_arrivals_are_planned_for_before_the_first_answer_ends() -> None:
    unfinished = Unknown("NothingFinished", "no request has finished")
    starting = replace(load(9.4), isl=unfinished, osl=unfinished)
    assert decided(starting).outcome == Trouble("NothingFinished", "no request has finished")
    past = Sample(at_s=at(-60).timestamp(), window_s=20, rate_per_s=1, isl=2048, osl=128)
    known = State(demand=Demand.restored([past]))
    assert replicas(decided(starting, state=known)) == (3, 2)


def test_suspended_does_nothing() -> None:
    outcome = decided(load(300), how=policy(suspended=True)).outcome
    assert isinstance(outcome, Trouble)
    assert outcome.reason == "Suspended"


@pytest.mark.parametrize("trouble", [Trouble("ProfileNotFound", "no"), Trouble("Other", "why")])
def test_without_a_profile_nothing_changes(trouble: Trouble) -> None:
    assert decide(seeing(load(300)), trouble, POLICY, FRESH, at(0)).outcome == trouble


def test_without_a_target_nothing_changes() -> None:
    gone = Trouble("TargetNotFound", "it is gone")
    seen = Observation(target=gone, load=load(300))
    assert decide(seen, PROFILE, POLICY, FRESH, at(0)).outcome == gone


def test_pending_replicas_count() -> None:
    seen = seeing(load(9.4), prefill=3)
    starting = tuple(replace(role, ready=1) for role in seen.target.roles)  # type: ignore[union-attr]
    waiting = replace(seen, target=replace(seen.target, roles=starting))  # type: ignore[type-var]
    assert replicas(decide(waiting, PROFILE, POLICY, FRESH, at(0), forecaster=EXACTLY)) == (3, 2)


def said(decision: Decision, how: Policy = POLICY) -> list[str]:
    outcome = plan(decision)
    return [explain.change(role, outcome.forecast, how) for role in outcome.changed]


def test_a_decision_says_why() -> None:
    prefill, decode = said(decided(load(9.4)))
    assert re.fullmatch(
        r"Scaled prefill from 1 to 3: 9\.4 requests/s of ISL 2048 need 2\.47 replicas, 1\.86 of"
        r" them busy, for mean TTFT <= 300 ms \(3 would have 2\d\d ms, bound by ttft\)",
        prefill,
    )
    assert re.fullmatch(
        r"Scaled decode from 1 to 2: 9\.4 requests/s of ISL 2048, OSL 128 need 1\.\d\d replicas,"
        r" 1\.\d\d of them busy, for mean ITL <= 25 ms \(2 would have 2\d ms, bound by itl\)",
        decode,
    )


def test_a_need_a_little_above_the_most_is_said_while_it_lasts() -> None:
    # 7.3 requests/s need 2.03 prefill replicas.
    few = replace(POLICY, limits=dict.fromkeys(POLICY.limits, Limits(fewest=1, most=2)))
    first = decided(load(7.3), 1, 1, how=few)
    then = decided(load(7.3), 2, 2, how=few, state=first.state, seconds=60)
    for decision in (first, then):
        needs = explain.limited(plan(decision)) or ""
        assert needs.startswith("prefill needs 3 replicas, spec.roles allows 2")
    assert any("spec.roles allows 2" in text for text in said(first, few))


def test_a_shadow_says_what_it_would_do() -> None:
    how = policy(shadow=True)
    assert said(decided(load(9.4), how=how), how)[0].startswith("Would scale prefill from 1 to 3")


def test_going_down_says_for_how_long() -> None:
    state = FRESH
    for seconds in range(0, 270, 30):
        later = decided(load(0), 3, 1, state=state, seconds=seconds)
        state = later.state
    assert said(later) == ["Scaled prefill from 3 to 1: no requests for 60 s"]


def test_an_unreachable_target_is_said() -> None:
    strict = replace(POLICY, targets=replace(POLICY.targets, ttft_ms=50))
    outcome = plan(decided(load(1), how=strict))
    prefill = next(role for role in outcome.roles if role.seen.role is Role.PREFILL)
    told = explain.unreachable(prefill, outcome.forecast, strict)
    assert told is not None
    assert told.startswith(
        "mean TTFT <= 50 ms cannot be met: a request of ISL 2048 alone takes 198 ms;"
    )


def test_a_target_that_leaves_no_room_is_said() -> None:
    outcome = plan(decided(load(20)))
    alone = next(role for role in outcome.roles if role.seen.role is Role.DECODE).answer
    assert alone is not None
    close = replace(POLICY, targets=replace(POLICY.targets, itl_ms=alone.alone_ms * 1.0001))
    outcome = plan(decided(load(20), how=close))
    decode = next(role for role in outcome.roles if role.seen.role is Role.DECODE)
    told = explain.unreachable(decode, outcome.forecast, close)
    assert told is not None
    assert "leaves too little room for others" in told
    assert "KV cache" not in told


def test_a_request_that_fits_nowhere_is_said() -> None:
    patient = replace(POLICY, targets=replace(POLICY.targets, itl_ms=1e6))
    outcome = plan(decided(load(1, isl=1_000_000), how=patient))
    decode = next(role for role in outcome.roles if role.seen.role is Role.DECODE)
    told = explain.unreachable(decode, outcome.forecast, patient)
    assert told is not None
    assert told.startswith(
        "a request of ISL 1000000, OSL 128 does not fit into the KV cache of one replica;"
    )


@settings(max_examples=60)
@given(
    rates=st.lists(st.floats(0, 200), min_size=2, max_size=8),
    gaps=st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_whatever_is_seen_replicas_stay_within_limits_and_unknown_holds(
    rates: list[float], gaps: list[bool]
) -> None:
    state, current = FRESH, (2, 2)
    for tick, (rate, gap) in enumerate(zip(rates, gaps, strict=False)):
        what = unknown() if gap else load(rate)
        decision = decided(what, *current, state=state, seconds=15 * tick)
        state = decision.state
        if gap:
            assert isinstance(decision.outcome, Trouble)
            continue
        current = replicas(decision)
        assert all(1 <= number <= 8 for number in current)


def test_deciding_twice_is_deciding_once() -> None:
    state = decided(load(9.4), 3, 2).state
    first = decided(load(9.4), 3, 2, state=state, seconds=15)
    assert decided(load(9.4), 3, 2, state=state, seconds=15) == first
    assert plan(first).changed == ()


def test_an_observed_rate_of_zero_with_requests_inside_is_no_reason_to_grow() -> None:
    waiting = replace(load(0), rate_per_s=Value(0.0))
    assert replicas(decided(waiting, 2, 2)) == (2, 2)
