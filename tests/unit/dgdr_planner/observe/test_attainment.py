from dataclasses import replace

import pytest

from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.observe.attainment import WindowAttainment, attained, with_window
from dgdr_planner.observe.histogram import Histogram
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import Value
from support.planning import at, load, unknown

MEAN = Targets(ttft_ms=300, itl_ms=25)
P95 = Targets(ttft_ms=300, itl_ms=25, percentile=Percentile.P95)


def windows(
    *seen: LoadSeen, targets: Targets = MEAN, step_s: float = 60
) -> tuple[WindowAttainment, ...]:
    found: tuple[WindowAttainment, ...] = ()
    for index, one in enumerate(seen):
        found = with_window(found, replace(one, window_s=60), targets, at(index * step_s))
    return found


def test_windows_count_with_their_requests() -> None:
    slow = replace(load(1), ttft_ms=Value(400.0))
    found = attained(windows(load(3), slow))
    assert found is not None
    assert (found.ttft, found.itl, found.requests) == (pytest.approx(0.75), 1.0, 240)
    assert found.since == at(-60)


def test_what_nobody_knows_counts_for_nothing() -> None:
    assert attained(windows(unknown(), load(0))) is None
    told = attained(windows(load(3), targets=P95))
    assert told is not None
    assert (told.ttft, told.itl, told.requests) == (None, None, 180)


def test_a_histogram_tells_the_share_of_requests() -> None:
    half = Histogram((300.0, 600.0), (50.0, 100.0), 100.0)
    found = attained(windows(replace(load(3), ttft_histogram_ms=half), targets=P95))
    assert found is not None
    assert found.ttft == pytest.approx(0.5)


def test_a_percentile_tells_of_the_whole_window() -> None:
    seen = replace(load(3), quantiles={"itl_p95": Value(30.0), "ttft_p95": Value(200.0)})
    found = attained(windows(seen, targets=P95))
    assert found is not None
    assert (found.ttft, found.itl) == (1.0, 0.0)


def test_an_hour_is_remembered_and_a_repeated_look_counts_once() -> None:
    assert len(windows(*[load(1)] * 100)) == 60
    found = attained(windows(load(1), load(1), step_s=0))
    assert found is not None
    assert found.requests == 60
