"""Cached prompts need less prefill: believed slowly, where it is told or proved."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bench.reference import reference_engine
from dgdr_perf.sizing import Targets, Workload, size_prefill
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import Unknown, Value
from dgdr_planner.size.cached import MOST, Cached, cached_after

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WINDOW = timedelta(seconds=60)
H200 = reference_engine()
SEEN = Workload(rate_per_s=20.0, isl=4000.0, osl=60.0)
UNTOLD = replace(
    LoadSeen.unknown("Test", "a test", 60.0),
    ttft_ms=Value(200.0),
    requests=1200.0,
)


def learned(load: LoadSeen, windows: int, before: Cached | None = None) -> float:
    cached = before or Cached()
    for index in range(windows):
        cached = cached_after(cached, load, H200, SEEN, NOW + index * WINDOW)
    return cached.share


def test_what_frontends_count_is_believed_slowly() -> None:
    told = replace(UNTOLD, cached_share=Value(0.8))
    assert learned(told, 1) == pytest.approx(0.16)
    assert learned(told, 40) == pytest.approx(0.8, abs=0.001)


def test_a_share_that_falls_is_believed_at_once() -> None:
    told = replace(UNTOLD, cached_share=Value(0.1))
    assert learned(told, 1, Cached(share=0.8)) == 0.1


def test_never_all_of_it() -> None:
    assert learned(replace(UNTOLD, cached_share=Value(1.0)), 80) <= MOST


def test_first_tokens_that_come_too_soon_prove_a_share() -> None:
    a_fifth_ms = H200.prefill.ttft_ms(800.0).value_ms
    share = learned(replace(UNTOLD, ttft_ms=Value(a_fifth_ms)), 60)
    assert 0.6 < share <= 0.8


def test_first_tokens_in_the_time_of_the_curve_prove_nothing() -> None:
    ttft_ms = 0.95 * H200.prefill.ttft_ms(4000.0).value_ms
    assert learned(replace(UNTOLD, ttft_ms=Value(ttft_ms)), 20) == 0.0


@pytest.mark.parametrize(
    "load",
    [
        pytest.param(replace(UNTOLD, ttft_ms=Value(40.0), requests=29.0), id="few requests"),
        pytest.param(replace(UNTOLD, ttft_ms=Unknown("No", "none")), id="no latency"),
    ],
)
def test_unknown_is_no_proof(load: LoadSeen) -> None:
    assert learned(load, 20) == 0.0


def test_one_window_counts_once() -> None:
    told = replace(UNTOLD, cached_share=Value(0.8))
    once = cached_after(Cached(), told, H200, SEEN, NOW)
    assert cached_after(once, told, H200, SEEN, NOW + timedelta(seconds=5)) == once


def test_what_is_cached_needs_no_prefill() -> None:
    targets = Targets(ttft_ms=400.0, itl_ms=30.0)
    full = size_prefill(H200, SEEN, targets)
    cached = size_prefill(H200, replace(SEEN, cached_share=0.8), targets)
    fifth = size_prefill(H200, replace(SEEN, isl=800.0), targets)
    assert cached.replicas_exact == pytest.approx(fifth.replicas_exact)
    assert cached.replicas_exact < 0.5 * full.replicas_exact
