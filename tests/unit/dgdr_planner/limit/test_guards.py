from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_planner.limit.guards import Guarded, History, Limit, guard
from dgdr_planner.policy import Limits, Policy
from support.planning import at, policy

ONE_TO_EIGHT = Limits(fewest=1, most=8)
EAGER = policy(stabilization_s=0)


def guarded(
    needed: int,
    current: int,
    *,
    limits: Limits = ONE_TO_EIGHT,
    how: Policy = EAGER,
    history: History | None = None,
) -> Guarded:
    return guard(needed, current, limits, how, history or History(), at(0))


@pytest.mark.parametrize(
    ("needed", "current", "how", "replicas", "limit"),
    [
        pytest.param(3, 1, EAGER, 3, None, id="up at once"),
        pytest.param(3, 3, EAGER, 3, None, id="enough"),
        pytest.param(12, 3, EAGER, 8, Limit.MAXIMUM, id="up to the maximum"),
        pytest.param(0, 3, EAGER, 1, Limit.MINIMUM, id="down to the minimum"),
        pytest.param(7, 1, replace(EAGER, max_step_up=2), 3, Limit.STEP_UP, id="a step up"),
        pytest.param(1, 7, replace(EAGER, max_step_down=1), 6, Limit.STEP_DOWN, id="a step down"),
        pytest.param(5, 11, EAGER, 5, None, id="the maximum is an order"),
        pytest.param(9, 11, EAGER, 8, Limit.MAXIMUM, id="the maximum is an order under load"),
        pytest.param(1, 9, policy(), 8, Limit.STABILIZING, id="but below it patience counts"),
    ],
)
def test_guard(needed: int, current: int, how: Policy, replicas: int, limit: Limit | None) -> None:
    answer = guarded(needed, current, how=how)
    assert (answer.replicas, answer.limit) == (replicas, limit)


def run(needs: list[int], *, current: int, how: Policy, step_s: float = 15) -> list[int]:
    """Replicas after each of a sequence of needs."""
    history, out = History(), []
    for index, needed in enumerate(needs):
        answer = guard(needed, current, ONE_TO_EIGHT, how, history, at(index * step_s))
        current, history = answer.replicas, answer.history
        out.append(current)
    return out


def test_going_down_waits_for_a_whole_window_of_less() -> None:
    assert run([1] * 6, current=4, how=policy()) == [4, 4, 4, 4, 1, 1]


def test_the_highest_need_of_the_window_counts() -> None:
    needs = [4, 1, 2, 1, 1, 1, 1, 1]
    assert run(needs, current=4, how=policy()) == [4, 4, 4, 4, 4, 2, 2, 1]


def test_a_peak_starts_the_wait_anew() -> None:
    assert run([1, 1, 1, 4, 1, 1, 1, 1, 1], current=4, how=policy()) == [4] * 8 + [1]


def test_going_up_does_not_wait() -> None:
    assert run([1, 1, 6, 1], current=2, how=policy()) == [2, 2, 6, 6]


def test_a_time_of_which_nothing_is_known_is_no_quiet_time() -> None:
    history = guarded(4, 4, how=policy()).history
    answer = guard(1, 4, ONE_TO_EIGHT, policy(), history, at(600))
    assert (answer.replicas, answer.limit) == (4, Limit.STABILIZING)
    later = guard(1, 4, ONE_TO_EIGHT, policy(), answer.history, at(630))
    assert later.replicas == 4
    assert guard(1, 4, ONE_TO_EIGHT, policy(), later.history, at(661)).replicas == 1


def test_a_clock_that_ran_ahead_for_a_while_does_not_stop_the_planner() -> None:
    month_s = 30 * 86_400.0
    history = guarded(4, 4, how=policy()).history
    for now_s, needed in ((month_s, 3), (month_s + 15, 2), (15, 1), (30, 1), (45, 1), (60, 1)):
        answer = guard(needed, 4, ONE_TO_EIGHT, policy(), history, at(now_s))
        history = answer.history
        assert answer.replicas == 4
    assert guard(1, 4, ONE_TO_EIGHT, policy(), history, at(76)).replicas == 1


def test_a_restart_keeps_the_wait_that_the_status_tells() -> None:
    history = History.restored(4, below_since=at(-70), now=at(0))
    assert guarded(1, 4, how=policy(), history=history).replicas == 3
    early = History.restored(4, below_since=at(-20), now=at(0))
    assert guarded(1, 4, how=policy(), history=early).replicas == 4


def test_a_restart_without_a_wait_starts_one() -> None:
    history = History.restored(4, below_since=None, now=at(0))
    answer = guarded(1, 4, how=policy(), history=history)
    assert (answer.replicas, answer.history.below_since) == (4, at(0))


@given(
    needs=st.lists(st.integers(0, 30), min_size=1, max_size=40),
    current=st.integers(0, 20),
    window_s=st.sampled_from([0, 30, 60]),
    up=st.none() | st.integers(1, 4),
    down=st.integers(1, 4),
)
def test_whatever_comes_the_limits_hold(
    needs: list[int], current: int, window_s: float, up: int | None, down: int
) -> None:
    how = policy(stabilization_s=window_s, max_step_up=up, max_step_down=down)
    before = current
    for after, needed in zip(run(needs, current=current, how=how), needs, strict=True):
        base = ONE_TO_EIGHT.clamp(before)
        assert 1 <= after <= 8
        assert base - down <= after <= base + (up or 8)
        assert after >= min(base, ONE_TO_EIGHT.clamp(needed))
        before = after


@pytest.mark.parametrize(
    ("current", "step_from", "replicas"),
    [
        pytest.param(2, 2, 4, id="nothing was added since the tick"),
        pytest.param(3, 2, 4, id="a part of the step was"),
        pytest.param(4, 2, 4, id="all of it was"),
        pytest.param(6, 2, 6, id="somebody added more"),
        pytest.param(2, 5, 4, id="the tick took some away"),
    ],
)
def test_a_step_up_is_one_from_tick_to_tick(current: int, step_from: int, replicas: int) -> None:
    how = replace(EAGER, max_step_up=2)
    answer = guard(8, current, ONE_TO_EIGHT, how, History(), at(0), step_from=step_from)
    assert (answer.replicas, answer.limit) == (replicas, Limit.STEP_UP)
