"""What was missed before says what to keep, and buys nothing while the load is calm."""

import numpy as np
import pytest

from dgdr_planner.forecast import Demand, Forecast, Forecaster
from dgdr_planner.forecast.newsvendor import CALM
from dgdr_planner.observe.looks import Look

STEP_S = 60.0
FLAT, CROWD = 20.0, 60.0


def forecast(rates: np.ndarray) -> Forecast:
    lengths = np.full(rates.size, 1000.0)
    demand = Demand.from_series(STEP_S * np.arange(rates.size), rates, STEP_S, lengths, lengths)
    told = Forecaster().forecast(demand, 100.0, 0.95)
    assert isinstance(told, Forecast)
    return told


def crowded(fades: float, quiet: int, seed: int = 1) -> np.ndarray:
    """Half an hour, eight minutes of three times as much that fade, and the same as before."""
    gone = np.exp(-np.arange(1.0, quiet + 1.0) / fades) if fades else np.zeros(quiet)
    over = np.r_[np.zeros(30), np.ones(8), gone]
    mean = FLAT + (CROWD - FLAT) * over
    return np.asarray(np.random.default_rng(seed).poisson(mean * STEP_S) / STEP_S)


def test_a_crowd_that_faded_is_not_bought_for_again() -> None:
    rates = crowded(3.0, 40)
    told = [forecast(rates[:end]) for end in range(38 + CALM, rates.size + 1)]
    assert max(one.planned for one in told) < 1.3 * FLAT
    assert max(one.held for one in told) > 0.9 * CROWD


def test_a_crowd_that_was_over_at_once_is_kept_and_not_bought_for() -> None:
    rates = crowded(0.0, 30)
    told = [forecast(rates[:end]) for end in range(38 + CALM, rates.size + 1, 3)]
    assert max(one.planned for one in told) < 1.3 * FLAT
    assert min(one.held for one in told) > 0.9 * CROWD
    assert all(one.is_calm for one in told)


def test_what_came_twice_is_bought_for_on_a_calm_load() -> None:
    rates = np.r_[crowded(0.0, 16), crowded(0.0, 16, seed=2)]
    told = [forecast(rates[:end]) for end in range(rates.size - 4, rates.size + 1)]
    assert not any(one.is_calm for one in told)
    assert max(one.planned for one in told) > 0.9 * CROWD


def test_what_was_kept_is_bought_again_as_soon_as_load_rises() -> None:
    told = forecast(np.append(crowded(3.0, 30), 30.0))
    assert not told.is_calm
    assert told.planned > 0.9 * CROWD


def test_a_load_of_which_a_window_is_unknown_is_not_called_calm() -> None:
    rates = crowded(3.0, 30)
    rates[-4] = np.nan
    assert not forecast(rates).is_calm


def test_a_steady_load_is_planned_for_with_what_counting_leaves_uncertain() -> None:
    rates = np.random.default_rng(3).poisson(FLAT * STEP_S, 60) / STEP_S
    told = [forecast(rates[:end]) for end in range(20, 61, 4)]
    assert np.mean([one.planned for one in told]) == pytest.approx(1.05 * FLAT, rel=0.05)


def test_looks_show_a_rise_above_a_calm_plan_though_more_is_kept() -> None:
    looks = [
        Look(at_s=15.0 * k, window_s=15.0, rate_per_s=40.0, queued=0.0, in_flight=0.0)
        for k in range(2)
    ]
    kept = Forecast(rate_per_s=20.0, planned_rate_per_s=22.0, hold_rate_per_s=60.0, is_calm=True)
    assert kept.raised_by(looks, 0.95).planned > 30.0
    peak = Forecast(rate_per_s=20.0, planned_rate_per_s=22.0, hold_rate_per_s=60.0)
    assert peak.raised_by(looks, 0.95) is peak
