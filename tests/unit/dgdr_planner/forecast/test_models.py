"""Each forecaster alone: what it must find in data that was made for it."""

import numpy as np
import pytest

from dgdr_planner.forecast.demand import BIN_S
from dgdr_planner.forecast.kalman import kalman, learned_noise
from dgdr_planner.forecast.season import autocorrelation, holt_winters, periods, remembered_season
from dgdr_planner.forecast.smoothing import (
    damped_trend,
    discounted,
    filled,
    last_values,
    means,
    medians,
)

NAN = float("nan")


def test_discounted_sums_are_the_recursion() -> None:
    values = np.random.default_rng(1).normal(size=(2, 400))
    values[0, 7] = NAN
    total, told = np.zeros(2), []
    for now in np.nan_to_num(values).T:
        total = now + 0.4 * total
        told.append(total)
    assert discounted(values, 0.4) == pytest.approx(np.column_stack(told))


def test_filled_holds_what_was_known() -> None:
    assert filled(np.array([NAN, 1.0, NAN, 3.0])).tolist()[1:] == [1.0, 1.0, 3.0]


def test_a_straight_line_goes_on_but_ever_flatter() -> None:
    paths = damped_trend(np.arange(50.0), 3, 0.65, 0.5)
    assert paths[-1] == pytest.approx([49.5, 49.75, 49.875])


def test_a_falling_line_ends_at_zero() -> None:
    line = np.maximum(50.0 - 5.0 * np.arange(11), 0.0)
    for paths in (damped_trend(line, 5, 0.4, 0.9), kalman(line, 5, 60.0)):
        assert np.nanmin(paths) >= 0.0


@pytest.mark.parametrize("model", ["trend", "kalman", "mean", "median", "last"])
def test_what_is_said_at_a_step_knows_nothing_of_later_ones(model: str) -> None:
    rate = np.random.default_rng(2).gamma(3.0, 5.0, 60)
    rate[10:14] = NAN
    build = {
        "trend": lambda y: damped_trend(y, 3, 0.65, 0.85),
        "kalman": lambda y: kalman(y, 3, 60.0),
        "mean": lambda y: means(y, np.ones(y.size), 3, 0.8),
        "median": lambda y: medians(y, 3),
        "last": lambda y: last_values(y, 3),
    }[model]
    assert build(rate)[:40] == pytest.approx(build(rate[:40]), nan_ok=True)


def test_holt_winters_with_a_period_knows_nothing_of_later_steps() -> None:
    rate = np.random.default_rng(2).gamma(3.0, 5.0, 60)
    rate[20:23] = NAN
    early, whole = holt_winters(rate[:40], 3, 9), holt_winters(rate, 3, 9)
    assert whole[:40] == pytest.approx(early, nan_ok=True)


def test_kalman_learns_that_noise_is_noise() -> None:
    rng = np.random.default_rng(3)
    flat = rng.normal(100.0, 10.0, 300)
    told = learned_noise(flat, 60.0)
    assert told.noise[-1] == pytest.approx(100.0, rel=0.4)
    assert told.drift[-1] < 0.25 * told.noise[-1]
    assert np.std(kalman(flat, 1, 60.0)[100:]) < 5.0


def test_kalman_learns_that_a_walk_is_a_walk() -> None:
    walk = 500.0 + np.cumsum(np.random.default_rng(4).normal(0.0, 10.0, 300))
    told = learned_noise(walk, 60.0)
    assert told.drift[-1] > 3.0 * told.noise[-1]
    assert np.abs(kalman(walk, 1, 60.0)[100:, 0] - walk[100:]).mean() < 5.0


def test_kalman_trusts_no_count_more_than_poisson_does() -> None:
    assert learned_noise(np.full(100, 30.0), 60.0).noise[-1] >= 30.0 / 60.0


def test_kalman_predicts_through_a_gap_and_does_not_go_below_zero() -> None:
    falling = np.array([100.0, 80, 60, 40, 20, 10, 0, 0, NAN, NAN, NAN])
    paths = kalman(falling, 4, 60.0)
    assert np.nanmin(paths) >= 0.0
    assert paths[-1].max() < 10.0


@pytest.mark.parametrize("period", [5, 10, 24, 60])
def test_a_period_is_found_under_noise(period: int) -> None:
    step = np.arange(300)
    rng = np.random.default_rng(period)
    series = 20 + 10 * np.sin(2 * np.pi * step / period) + rng.normal(0, 3, 300)
    assert abs(periods(series)[0] - period) <= 1


def test_a_period_of_a_fraction_of_steps_is_found_as_its_multiple_too() -> None:
    series = 25 + 20 * np.sin(2 * np.pi * np.arange(300) / (40 / 3))
    found = periods(series)
    assert found[0] == 13
    assert found[-1] % 40 == 0


def test_a_period_is_not_told_before_it_was_seen_twice() -> None:
    series = 25 + 20 * np.sin(2 * np.pi * np.arange(300) / 50)
    assert periods(series[:90]) == ()
    assert periods(series[:110]) != ()


@pytest.mark.parametrize("seed", range(10))
def test_noise_walks_and_ramps_have_no_period(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert periods(rng.normal(20, 5, 300)) == ()
    assert periods(np.arange(300) + rng.normal(0, 1, 300)) == ()


def test_a_constant_has_no_period() -> None:
    assert autocorrelation(np.full(100, 3.0)) == pytest.approx(np.zeros(51))
    assert periods(np.full(100, 3.0)) == ()


def test_gaps_do_not_hide_a_period() -> None:
    rng = np.random.default_rng(5)
    series = 25 + 20 * np.sin(2 * np.pi * np.arange(200) / 20)
    series[rng.random(200) < 0.3] = NAN
    series[90:110] = NAN
    assert abs(periods(series)[0] - 20) <= 1


def test_holt_winters_repeats_a_season_and_follows_its_level() -> None:
    season = np.tile([5.0, 40.0, 20.0, 10.0], 20)
    paths = holt_winters(season + np.repeat([0.0, 10.0], 40), 6, 4)
    assert paths[-1] == pytest.approx([15.0, 50.0, 30.0, 20.0, 15.0, 50.0], abs=1.5)


def test_a_day_that_is_remembered_moves_the_newest_level() -> None:
    daily = np.tile(20.0 + 15.0 * np.sin(2 * np.pi * np.arange(96) / 96), 5)
    ends = BIN_S * np.arange(1, daily.size + 1)
    older = np.column_stack([ends, np.full((daily.size, 1), BIN_S), daily, daily, daily])
    at_s = ends[-1] + 60.0 * np.arange(1, 121)
    now = 30.0 + 15.0 * np.sin(2 * np.pi * ((at_s - 30.0) / BIN_S - 0.5) / 96)
    (paths,) = remembered_season(older, at_s, now, 10)
    told, seen = paths[50:110, 9], now[60:120]
    assert np.abs(told - seen).mean() < 0.1
    assert np.abs(now[50:110] - seen).mean() > 0.5


def test_two_days_are_needed_to_remember_one() -> None:
    daily = np.tile(20.0 + 15.0 * np.sin(2 * np.pi * np.arange(96) / 96), 2)[:180]
    ends = BIN_S * np.arange(1, daily.size + 1)
    older = np.column_stack([ends, np.full((daily.size, 1), BIN_S), daily, daily, daily])
    assert remembered_season(older, np.array([ends[-1] + 60.0]), np.array([20.0]), 1) == []
