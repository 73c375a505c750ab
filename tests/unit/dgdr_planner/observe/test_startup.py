from dataclasses import replace

import pytest

from dgdr_api.graph import Role
from dgdr_planner.observe.startup import ASSUMED_S, Starts, with_sight
from support.planning import at, role


def looked(*looks: tuple[float, int, int | None], starts: Starts | None = None) -> Starts:
    """Look at (seconds, wanted, ready) of decode."""
    starts = starts or Starts()
    for seconds, wanted, ready in looks:
        seen = replace(role(Role.DECODE, wanted), ready=ready)
        starts = with_sight(starts, (seen,), at(seconds))
    return starts


def test_until_a_start_was_seen_a_minute_is_assumed() -> None:
    starts = looked((0, 2, 2), (60, 2, 2))
    assert (starts.measured_s, starts.seconds) == (None, ASSUMED_S)


def test_a_start_is_timed_from_the_asking_to_the_middle_of_the_looks() -> None:
    starts = looked((0, 1, 1), (10, 2, 1), (20, 2, 1), (130, 2, 1), (140, 2, 2))
    assert starts.measured_s == pytest.approx(140 - 0 - 5)


def test_replicas_that_were_there_all_along_tell_nothing() -> None:
    assert looked((0, 3, 0), (60, 3, 3)).measured_s is None


def test_the_median_forgives_one_slow_start() -> None:
    starts, now = looked((0, 1, 1)), 0.0
    for took in (100, 110, 3000, 105, 95):
        for seconds, wanted, ready in ((10, 2, 1), (took, 2, 1), (took + 10, 2, 2)):
            starts = looked((now + seconds, wanted, ready), starts=starts)
        now += took + 20
        starts = looked((now, 1, 1), starts=starts)
    assert starts.seconds == pytest.approx(105, abs=15)


def test_the_last_five_count() -> None:
    starts = Starts(took_s=(900.0,) * 5)
    for turn in range(5):
        start = 1000.0 * turn
        starts = looked((start, 1, 1), (start + 10, 2, 1), (start + 40, 2, 2), starts=starts)
    assert starts.seconds < 60


def test_what_is_wanted_no_more_is_waited_for_no_more() -> None:
    starts = looked((0, 1, 1), (10, 3, 1), (20, 1, 1), (30, 2, 1), (60, 2, 2))
    assert starts.measured_s == pytest.approx(60 - 20 - 15)


def test_a_replica_that_never_comes_is_given_up() -> None:
    starts = looked((0, 1, 1), (10, 2, 1), (4000, 2, 1), (4010, 2, 2))
    assert starts.measured_s is None


def test_a_role_is_settled_when_it_was_the_same_for_a_window() -> None:
    starts = looked((0, 2, 1), (10, 2, 2), (70, 2, 2))
    assert starts.is_settled(Role.DECODE, 60, at(70))
    assert not starts.is_settled(Role.DECODE, 61, at(70))
    assert not starts.is_settled(Role.PREFILL, 60, at(70))
    assert not looked((0, 2, 1), (100, 2, 1)).is_settled(Role.DECODE, 60, at(100))


def test_nothing_is_measured_where_nobody_reports_what_is_ready() -> None:
    starts = looked((0, 1, 1), (10, 2, None), (20, 2, None), (60, 2, 2))
    assert starts.measured_s is None
    assert not looked((0, 1, None), (600, 1, None)).is_settled(Role.DECODE, 60, at(600))
