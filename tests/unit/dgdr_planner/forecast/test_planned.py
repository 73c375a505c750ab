"""What is planned for: what was seen, until a forecaster has proved that it needs less."""

import numpy as np
import pytest

from dgdr_planner.forecast import Demand, Forecast, Forecaster
from dgdr_planner.forecast.newsvendor import as_seen, planned, weighted_quantiles
from dgdr_planner.forecast.selection import Candidate
from dgdr_planner.forecast.smoothing import last_values, rises

STEP_S = 60.0


def forecast(rates: np.ndarray, horizon_s: float = 60.0, quantile: float = 0.9) -> Forecast:
    lengths = np.full(rates.size, 1000.0)
    demand = Demand.from_series(STEP_S * np.arange(rates.size), rates, STEP_S, lengths, lengths)
    told = Forecaster().forecast(demand, horizon_s, quantile)
    assert isinstance(told, Forecast)
    return told


def counted(mean: np.ndarray, seed: int = 5) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).poisson(mean * STEP_S) / STEP_S)


def unproven(rates: np.ndarray, leads: int = 2) -> tuple[list[Candidate], np.ndarray]:
    last = Candidate(model="LastValue", paths=last_values(rates, leads))
    return [last], rises(rates, leads, STEP_S)


def test_bursts_that_nobody_foresees_end_in_a_static_plan() -> None:
    rates = counted(np.where(np.random.default_rng(8).random(160) < 0.15, 60.0, 6.0))
    plans = [forecast(rates[:end]).planned for end in range(100, 160)]
    assert max(plans) <= rates.max() * 1.15
    assert np.std(plans) < 0.1 * np.mean(plans)


def test_a_peak_that_was_seen_once_is_planned_for_by_its_quantile_and_not_beyond() -> None:
    rates = counted(np.r_[np.full(40, 10.0), 50.0, np.full(20, 10.0)])
    assert 10.0 < forecast(rates).planned < 20.0


def test_a_first_clear_rise_goes_on_but_a_burst_out_of_nothing_does_not() -> None:
    assert forecast(np.array([6.2, 13.4])).planned > 20.0
    assert forecast(np.array([0.0, 0.0, 177.0])).planned < 1.1 * 177.0


def test_noise_of_counting_is_no_news() -> None:
    rates = counted(np.full(120, 5.0))
    usual = float(np.quantile(rates, 0.9))
    plans = [forecast(rates[:end]).planned for end in range(60, 120)]
    assert max(plans) < 1.15 * usual


def test_a_load_that_doubles_for_good_is_followed_up_at_once_and_down_later() -> None:
    up = counted(np.r_[np.full(60, 10.0), np.full(1, 30.0)])
    assert forecast(up).planned > 30.0
    down = counted(np.r_[np.full(60, 30.0), np.full(90, 10.0)])
    assert forecast(down).planned < 15.0


def test_a_proven_season_is_followed_down_where_what_was_seen_would_not() -> None:
    rates = counted(25.0 - 20.0 * np.cos(2 * np.pi * np.arange(65) / 10.0))
    told = forecast(rates, horizon_s=180.0)
    assert told.model == "HoltWinters"
    assert told.planned < 0.7 * np.quantile(rates, 0.9)


@pytest.mark.parametrize("seed", range(3))
def test_a_season_that_foresaw_a_fall_says_where_it_ends(seed: int) -> None:
    rates = counted(22.0 - 18.0 * np.cos(2 * np.pi * np.arange(88) / 22.0), seed)
    told = [forecast(rates[:end], horizon_s=180.0) for end in range(66, 88)]
    followed = [one for one in told if one.planned_by == one.model == "HoltWinters"]
    assert len(followed) > 15
    assert all(one.planned >= one.rate_per_s for one in followed)


def test_who_is_not_better_than_a_static_plan_does_not_speak() -> None:
    rates = np.random.default_rng(2).gamma(2.0, 10.0, 100)
    found = planned(rates, *unproven(rates), 0.9, STEP_S)
    assert found.model is None
    assert found.grow == found.hold == pytest.approx(np.quantile(rates, 0.9), rel=0.25)


def test_who_asks_for_a_model_by_name_gets_it_unproven() -> None:
    rates = np.random.default_rng(2).gamma(2.0, 10.0, 100)
    lengths = np.full(rates.size, 10.0)
    demand = Demand.from_series(STEP_S * np.arange(100), rates, STEP_S, lengths, lengths)
    told = Forecaster().forecast(demand, 0.0, 0.5, "Mean")
    assert isinstance(told, Forecast)
    assert told.planned != as_seen(rates, 0.0, 0.5, STEP_S)


def test_a_higher_quantile_of_what_was_seen_never_plans_less() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        rates = rng.gamma(3.0, 5.0, 30)
        plans = [as_seen(rates, 0.0, level, STEP_S) for level in (0.5, 0.8, 0.9, 0.95, 0.99)]
        assert plans == sorted(plans)


def test_a_weighted_quantile_counts_weights_and_not_entries() -> None:
    values = np.array([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    weights = np.array([[1.0, 1.0, 1.0], [8.0, 1.0, 1.0]])
    assert weighted_quantiles(values, weights, 0.5).tolist() == [2.0, 3.0]


def test_a_handful_of_odd_requests_changes_no_length() -> None:
    size = 40
    rates, isl = np.full(size, 100.0), np.full(size, 2000.0)
    rates[-1], isl[-1] = 0.05, 60_000.0
    demand = Demand.from_series(STEP_S * np.arange(size), rates, STEP_S, isl, isl)
    told = Forecaster().forecast(demand, 60.0, 0.9)
    assert isinstance(told, Forecast)
    assert told.isl == 2000.0


def test_a_load_that_comes_back_after_a_long_gap_is_planned_for() -> None:
    rates = np.r_[np.full(30, 10.0), np.full(200, np.nan), 12.0]
    assert as_seen(rates, 12.0, 0.9, STEP_S) >= 12.0
