"""Models that need libraries of their own: named where they are missing, judged like the others."""

import sys

import numpy as np
import pytest

from dgdr_planner.forecast import (
    Demand,
    Forecast,
    Forecaster,
    MissingExtra,
    Model,
    forecaster_for,
    load_forecaster,
)
from dgdr_planner.forecast.extras import NEEDS
from dgdr_planner.observe.value import Unknown


@pytest.mark.parametrize(
    ("model", "library"), [(Model.ARIMA, "statsmodels"), (Model.PROPHET, "prophet")]
)
def test_a_missing_library_is_named_with_its_extra(
    model: Model, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, NEEDS[model][0], None)
    with pytest.raises(MissingExtra, match=rf"{library}.*dgdr-operator\[{model.lower()}\]"):
        load_forecaster(model)


def test_a_missing_library_is_unknown_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, NEEDS[Model.PROPHET][0], None)
    forecaster_for.cache_clear()
    found = forecaster_for("Prophet")
    forecaster_for.cache_clear()
    assert isinstance(found, Unknown)
    assert found.reason == "ForecasterMissing"
    assert "dgdr-operator[prophet]" in found.cause


def test_built_in_models_need_nothing() -> None:
    assert load_forecaster("Auto") == Forecaster()


def test_an_optional_model_speaks_when_it_is_better_and_not_otherwise() -> None:
    rate = np.where(np.arange(60) % 2, 20.0, 10.0) + np.sin(np.arange(60))
    demand = Demand.from_series(60.0 * np.arange(60), rate, 60.0, rate, rate)

    def right(seen: np.ndarray, leads: int) -> np.ndarray:
        return np.append(seen[1:], seen[-2])[:, None].repeat(leads, axis=1)

    def wrong(seen: np.ndarray, leads: int) -> np.ndarray:
        return np.zeros((seen.size, leads))

    for build, speaker in ((right, Model.ARIMA), (wrong, Model.LAST_VALUE)):
        forecaster = Forecaster(optional={Model.ARIMA: build})
        told = forecaster.forecast(demand, 0.0, 0.9, Model.ARIMA)
        assert isinstance(told, Forecast)
        assert told.model == speaker


def test_arima_forecasts_from_every_step() -> None:
    rate = 25 + 20 * np.sin(2 * np.pi * np.arange(80) / 10)
    paths = load_forecaster("ARIMA").optional[Model.ARIMA](rate, 3)
    assert paths.shape == (80, 3)
    assert np.abs(paths[40:-1, 0] - rate[41:]).mean() < np.abs(np.diff(rate)).mean()
