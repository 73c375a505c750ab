"""A burst of seconds is answered by half as much again; what lasts, or goes on, by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_planner.forecast import Forecast
from dgdr_planner.forecast.rise import MOST, MOST_ADDED, rise
from dgdr_planner.observe.looks import Look


def looks(*rates_per_s: float) -> tuple[Look, ...]:
    return tuple(
        Look(at_s=15.0 * number, window_s=15.0, rate_per_s=rate_per_s)
        for number, rate_per_s in enumerate(rates_per_s)
    )


def planned(*rates_per_s: float, over: float = 20.0, horizon_s: float = 100.0) -> float | None:
    """What these looks plan for over a plan of ``over``; the median, without any margin."""
    found = rise(looks(*rates_per_s), over, 0.5, horizon_s)
    return None if found is None else found.planned_per_s


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        pytest.param((), None, id="nothing was looked at"),
        pytest.param((20.0, 21.0, 19.0), None, id="as planned"),
        pytest.param((18.0, 22.0), None, id="within what counting leaves uncertain"),
        pytest.param((20.0, 200.0), 30.0, id="one burst adds a half"),
        pytest.param((20.0, 28.0), 28.0, id="a look that is above by less is believed"),
        pytest.param((40.0, 40.0), 40.0, id="two in a row are a rise"),
        pytest.param((40.0, 200.0), 60.0, id="and bound a burst upon it"),
        pytest.param((200.0, 20.0), None, id="a burst that is over"),
    ],
)
def test_looks_plan(seen: tuple[float, ...], expected: float | None) -> None:
    assert planned(*seen) == (None if expected is None else pytest.approx(expected))


def test_a_ramp_goes_on_until_replicas_serve() -> None:
    now, soon, late = (planned(100, 110, 125, horizon_s=s) or 0.0 for s in (0.0, 60.0, 300.0))
    assert now == 125.0
    assert now < soon < late <= 125.0 * (1.0 + MOST_ADDED)


def test_a_ramp_is_seen_before_it_is_above_the_plan() -> None:
    assert (planned(8, 14, 19, over=20.0) or 0.0) > 20.0


def test_what_comes_out_of_nothing_does_not_go_on() -> None:
    assert planned(0, 30, 40) == 40.0


def test_a_step_does_not_go_on() -> None:
    assert planned(20, 40, 40) == 40.0
    assert planned(20, 20, 40) == 30.0


def test_a_load_that_comes_in_bursts_is_left_to_the_ticks() -> None:
    calm, bursts = (20, 20, 20, 20, 20, 20), (5, 40, 0, 35, 10, 30)
    assert planned(*calm, 40, 40) == 40.0
    assert planned(*bursts, 40, 40) is None
    assert planned(*calm, 28, 34) is not None
    assert planned(*bursts, 28, 34) is None


@pytest.mark.parametrize("over", [0.0, 0.05])
def test_where_nothing_comes_chance_is_no_rise(over: float) -> None:
    assert rise(looks(0.0), over, 0.9, 100.0) is None


@given(st.floats(0.5, 50), st.floats(0, 500))
def test_one_burst_never_plans_for_twice_as_much(before: float, burst: float) -> None:
    found = planned(before, before, burst, over=before)
    assert found is None or found <= MOST * before + 1e-9


def test_looks_between_two_ticks_are_compared_with_the_tick() -> None:
    ticked = Forecast(rate_per_s=20.0, planned_rate_per_s=20.0, horizon_s=100.0)
    once = ticked.raised_by(looks(20.0, 200.0), 0.5)
    again = once.raised_by(looks(20.0, 20.0, 200.0), 0.5)
    assert once.planned == again.planned == 30.0
    assert once.raised is not None
    assert once.raised.over_per_s == 20.0
    assert once.held == 30.0


def test_looks_take_nothing_away() -> None:
    ticked = Forecast(rate_per_s=20.0, planned_rate_per_s=50.0, hold_rate_per_s=60.0)
    assert ticked.raised_by(looks(5.0, 5.0, 5.0), 0.9) == ticked
