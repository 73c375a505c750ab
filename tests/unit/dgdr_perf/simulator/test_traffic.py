"""Generated traffic: the same from the same seed, with the shape that it is named for."""

from collections.abc import Callable

import numpy as np
import pytest

from bench.traffic import (
    DAY_S,
    HOUR_S,
    bursty,
    flash,
    pareto_cut,
    renewals,
    weekly,
    weekly_chunks,
)
from dgdr_perf.simulator.arrivals import Requests


def two_days(seed: int) -> Requests:
    return weekly(seed, rate_per_s=1.0, days=2)


@pytest.mark.parametrize("draw", [bursty, flash, two_days])
def test_a_seed_is_a_workload(draw: Callable[[int], Requests]) -> None:
    once, again, other = draw(1), draw(1), draw(2)
    for name in ("arrival_s", "isl", "osl"):
        np.testing.assert_array_equal(getattr(once, name), getattr(again, name))
    assert not np.array_equal(once.arrival_s[:100], other.arrival_s[:100])
    assert (np.diff(once.arrival_s) >= 0).all()
    assert (once.isl == np.rint(once.isl)).all()
    assert 1 <= once.isl.min() <= once.isl.max() <= 32_000


@pytest.mark.parametrize("cv", [0.5, 1.0, 3.0])
def test_gaps_of_renewals_have_the_variation_asked_for(cv: float) -> None:
    times = renewals(np.random.default_rng(1), cv, np.array([0.0, 1e5]), np.array([1.0]))
    gaps = np.diff(times)
    assert gaps.mean() == pytest.approx(1.0, rel=0.05)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.05)


def test_renewals_follow_their_rate() -> None:
    edges_s, rates = np.array([0.0, 1000.0, 3000.0]), np.array([5.0, 1.0])
    times = renewals(np.random.default_rng(1), 2.0, edges_s, rates)
    assert (times < 1000).sum() == pytest.approx(5000, rel=0.1)
    assert (times >= 1000).sum() == pytest.approx(2000, rel=0.15)


def test_a_cut_pareto_tail_ends_and_keeps_its_median() -> None:
    lengths = pareto_cut(np.random.default_rng(1), 100.0, 1.5, 10_000.0, 100_000)
    assert 100.0 <= lengths.min() < lengths.max() <= 10_000.0
    # P(X > x) = ((l/x)^a - (l/h)^a) / (1 - (l/h)^a)
    cut = 0.01**1.5
    beyond = (0.5**1.5 - cut) / (1 - cut)
    assert (lengths > 200.0).mean() == pytest.approx(beyond, abs=0.01)


def test_few_clients_bring_bursts_beyond_poisson() -> None:
    counts = np.bincount(bursty(1).arrival_s.astype(int))
    assert counts.var() > 2.0 * counts.mean()


def test_a_crowd_comes_at_once() -> None:
    per_minute = np.bincount((flash(1).arrival_s // 60).astype(int)) / 60.0
    assert (per_minute[1:] / per_minute[:-1]).max() > 2.0
    assert np.median(per_minute) < 30.0


def test_a_week_is_quieter_at_its_end_and_at_night() -> None:
    hours = np.zeros(7 * 24)
    for hour, chunk in enumerate(weekly_chunks(1, rate_per_s=2.0, days=7)):
        hours[hour] = len(chunk)
        assert hour * HOUR_S <= chunk.arrival_s[0] < chunk.arrival_s[-1] < (hour + 1) * HOUR_S
    days = hours.reshape(7, 24)
    assert hours.sum() == pytest.approx(2.0 * 7 * DAY_S, rel=0.1)
    assert days[:5].sum(axis=1).min() > days[5:].sum(axis=1).max()
    assert (days[:, 11] > 2.5 * days[:, 3]).all()
