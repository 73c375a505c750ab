"""Forecasts of demand: what the next replicas are ordered for."""

from dgdr_planner.core.forecast.demand import Demand, Sample
from dgdr_planner.core.forecast.extras import (
    FORECASTER_MISSING,
    MissingExtra,
    forecaster_for,
    load_forecaster,
)
from dgdr_planner.core.forecast.forecaster import OPTIONAL, Forecaster, Model
from dgdr_planner.core.forecast.value import Forecast, last_value
from dgdr_planner.core.forecast.warm_up import warmed_up

__all__ = [
    "FORECASTER_MISSING",
    "OPTIONAL",
    "Demand",
    "Forecast",
    "Forecaster",
    "MissingExtra",
    "Model",
    "Sample",
    "forecaster_for",
    "last_value",
    "load_forecaster",
    "warmed_up",
]
