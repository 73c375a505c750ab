"""Forecasts of demand: what the next replicas are ordered for."""

from dgdr_planner.core.forecast.demand import Demand, Sample
from dgdr_planner.core.forecast.forecaster import Forecaster, Model
from dgdr_planner.core.forecast.value import Forecast, last_value

__all__ = ["Demand", "Forecast", "Forecaster", "Model", "Sample", "last_value"]
