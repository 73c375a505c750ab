"""Forecasts of demand: what the next replicas are ordered for."""

from dgdr_planner.core.forecast.demand import Demand, Sample
from dgdr_planner.core.forecast.extras import MissingExtra, load_forecaster
from dgdr_planner.core.forecast.forecaster import Forecaster, Model
from dgdr_planner.core.forecast.value import Forecast, last_value
from dgdr_planner.core.forecast.warm_up import warmed_up

__all__ = [
    "Demand",
    "Forecast",
    "Forecaster",
    "MissingExtra",
    "Model",
    "Sample",
    "last_value",
    "load_forecaster",
    "warmed_up",
]
