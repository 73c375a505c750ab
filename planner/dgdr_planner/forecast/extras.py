"""ARIMA and Prophet: for those who want them by name, with libraries that nothing else needs.

Neither takes part in Auto: they cost 100 ms to seconds a step.
"""

import importlib
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from dgdr_planner.forecast.demand import Floats
from dgdr_planner.forecast.forecaster import Forecaster, Model, Optional
from dgdr_planner.forecast.smoothing import filled
from dgdr_planner.observe.value import Unknown

#: Library and extra of each optional model.
NEEDS: Mapping[Model, tuple[str, str]] = {
    Model.ARIMA: ("statsmodels.tsa.api", "arima"),
    Model.PROPHET: ("prophet", "prophet"),
}
#: Why nothing is planned with a model whose library is not installed.
FORECASTER_MISSING = "ForecasterMissing"
#: Order of the ARIMA model: one autoregression, one difference, one moving average.
ORDER = (1, 1, 1)
#: Fewest steps that are fitted; with fewer nothing is said and the last value speaks.
FEWEST = 12
#: Share of the steps that Prophet is judged on; it is fitted to those before.
JUDGED = 0.3


class MissingExtra(ValueError):
    """A model was asked for whose library is not installed."""


def load_forecaster(model: str) -> Forecaster:
    """Return a forecaster that can do ``model``.

    Raises MissingExtra where its library is not installed; the message names the extra.
    """
    if model not in NEEDS:
        return Forecaster()
    wanted = Model(model)
    library, extra = NEEDS[wanted]
    try:
        module = importlib.import_module(library)
    except ImportError as exc:
        name = library.split(".")[0]
        raise MissingExtra(
            f"forecast model {model} needs {name}, which is not installed: install"
            f" dgdr-operator[{extra}] or choose Auto"
        ) from exc
    build = {Model.ARIMA: _arima, Model.PROPHET: _prophet}[wanted]
    return Forecaster(optional={wanted: _guarded(build(module))})


@cache
def forecaster_for(model: str) -> Forecaster | Unknown:
    """Return a forecaster that can do ``model``; Unknown where its library is not installed."""
    try:
        return load_forecaster(model)
    except MissingExtra as exc:
        return Unknown(FORECASTER_MISSING, str(exc))


def _guarded(forecasts: Optional) -> Optional:
    def guarded(rate_per_s: Floats, leads: int) -> Floats:
        held = filled(rate_per_s)
        known = np.isfinite(held)
        paths = np.full((held.size, leads), np.nan)
        if known.sum() >= FEWEST:
            paths[known] = np.maximum(forecasts(held[known], leads), 0.0)
        return paths

    return guarded


def _arima(module: ModuleType) -> Optional:
    """Fit once to all steps, then forecast from the filtered state of each."""
    arima: Callable[..., Any] = module.ARIMA

    def forecasts(rate_per_s: Floats, leads: int) -> Floats:
        with warnings.catch_warnings():
            # Each pass would repeat what the fit thinks of its start; its errors judge it.
            warnings.simplefilter("ignore")
            fitted = arima(rate_per_s, order=ORDER).fit(method_kwargs={"disp": 0})
        states = fitted.predicted_state.T[1:]
        design = fitted.model.ssm["design"][0]
        transition = fitted.model.ssm["transition"]
        columns = []
        for _ in range(leads):
            columns.append(states @ design)
            states = states @ transition.T
        return np.column_stack(columns)

    return forecasts


def _prophet(module: ModuleType) -> Optional:
    """Fit to the older steps to be judged on the newer ones, and to all to speak now."""
    pandas = importlib.import_module("pandas")

    def said(rate_per_s: Floats, ahead: int) -> Floats:
        times = pandas.date_range("2000-01-01", periods=rate_per_s.size + ahead, freq="min")
        model = module.Prophet()
        model.fit(pandas.DataFrame({"ds": times[: rate_per_s.size], "y": rate_per_s}))
        told = model.predict(pandas.DataFrame({"ds": times[rate_per_s.size :]}))
        return np.asarray(told["yhat"], dtype=np.float64)

    def forecasts(rate_per_s: Floats, leads: int) -> Floats:
        size = rate_per_s.size
        fitted = size - max(int(JUDGED * size), 1)
        paths = np.full((size, leads), np.nan)
        past = said(rate_per_s[:fitted], size - fitted + leads)
        views = np.lib.stride_tricks.sliding_window_view(past, leads)
        paths[fitted - 1 : size - 1] = views[: size - fitted]
        paths[-1] = said(rate_per_s, leads)
        return paths

    return forecasts
