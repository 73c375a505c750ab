"""A trace becomes a history that ends now."""

import math

import numpy as np
import pytest

from dgdr_planner.forecast import Demand, Forecast, Forecaster, warmed_up
from dgdr_planner.forecast.demand import AT, ISL, RATE


def test_windows_are_counted_and_the_last_incomplete_one_left_out() -> None:
    demand = warmed_up(
        [0.0, 10.0, 130.0, 185.0],
        [100.0, 300.0, 50.0, 7.0],
        [1.0, 3.0, 5.0, 7.0],
        window_s=60.0,
        until_s=1000.0,
    )
    assert demand.recent[:, AT].tolist() == [880.0, 940.0, 1000.0]
    assert (demand.recent[:, RATE] * 60).tolist() == [2.0, 0.0, 1.0]
    assert demand.recent[0, ISL] == 200.0
    assert math.isnan(demand.recent[1, ISL])


def test_an_empty_trace_is_an_empty_history() -> None:
    assert warmed_up([], [], [], window_s=60.0, until_s=0.0) == Demand()


def test_a_warm_planner_knows_the_period_of_its_trace_at_once() -> None:
    rng = np.random.default_rng(1)
    mean = 25 + 20 * np.sin(2 * np.pi * np.arange(60) / 10)
    at_s = np.concatenate(
        [60.0 * k + rng.uniform(0, 60, rng.poisson(60 * m)) for k, m in enumerate(mean)]
    )
    ones = np.ones(at_s.size)
    told = Forecaster().forecast(
        warmed_up(at_s, 1000 * ones, ones, window_s=60.0, until_s=5e8), 0.0, 0.9
    )
    assert isinstance(told, Forecast)
    assert told.model == "HoltWinters"


@pytest.mark.parametrize(
    ("isl", "named"),
    [([1.0], "isl has 1 values for 2 arrivals"), ([1.0, -2.0], "isl of request 1 is -2.0")],
)
def test_a_bad_trace_is_refused_by_its_row(isl: list[float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        warmed_up([0.0, 1.0], isl, [1.0, 1.0], window_s=60.0, until_s=0.0)
