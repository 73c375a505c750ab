"""Planners of one Prometheus and interval look at the same moment, whenever they began."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dgdr_planner.observe.endpoint import LEAST_S, PHASE_SHARE, delay_s

EPOCHS = st.floats(0, 4e9)
INTERVALS = st.sampled_from((5.0, 15.0, 60.0, 3600.0))
URLS = st.sampled_from(("", "http://prometheus:9090", "https://other/tenant"))


@given(EPOCHS, st.floats(0, 1), INTERVALS, URLS)
def test_two_that_end_anywhere_in_an_interval_begin_together(
    now_s: float, share: float, interval_s: float, url: str
) -> None:
    one = now_s + delay_s(now_s, interval_s, url)
    later_s = now_s + share * interval_s
    other = later_s + delay_s(later_s, interval_s, url)
    apart = (other - one) / interval_s
    assert apart == pytest.approx(round(apart), abs=1e-5)


@given(EPOCHS, INTERVALS, URLS)
@example(now_s=60.0, interval_s=60.0, url="")
def test_a_tick_is_not_at_once_and_not_later_than_the_next(
    now_s: float, interval_s: float, url: str
) -> None:
    assert LEAST_S <= delay_s(now_s, interval_s, url) <= interval_s + LEAST_S


@given(INTERVALS, URLS)
def test_a_tick_is_soon_after_a_multiple_of_the_interval(interval_s: float, url: str) -> None:
    at_s = 1e9 + delay_s(1e9, interval_s, url)
    assert at_s % interval_s <= PHASE_SHARE * interval_s + 1e-5


def test_one_that_wakes_a_moment_early_does_not_look_twice() -> None:
    tick_s = 1e9 + delay_s(1e9, 15, "")
    assert delay_s(tick_s - 0.01, 15, "") == pytest.approx(15.01, abs=1e-5)


def test_servers_and_intervals_have_times_of_their_own() -> None:
    phases = {(1e9 + delay_s(1e9, 60, f"http://{name}:9090")) % 60 for name in range(100)}
    assert len(phases) == 100
