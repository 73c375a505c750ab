"""Forecasts of demand: what the next replicas are ordered for."""

from dgdr_planner.forecast.demand import Demand, warmed_up
from dgdr_planner.forecast.extras import (
    FORECASTER_MISSING,
    MissingExtra,
    forecaster_for,
    load_forecaster,
)
from dgdr_planner.forecast.forecaster import OPTIONAL, Forecast, Forecaster, Model
from dgdr_planner.observe.history import Sample

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
    "load_forecaster",
    "warmed_up",
]
