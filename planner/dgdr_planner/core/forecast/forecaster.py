"""From a history to the load that the next replicas are ordered for."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

import numpy as np

from dgdr_planner.core.forecast.conformal import upper
from dgdr_planner.core.forecast.demand import Demand, Floats
from dgdr_planner.core.forecast.grid import Grid, on_grid
from dgdr_planner.core.forecast.kalman import kalman
from dgdr_planner.core.forecast.lengths import expected_length
from dgdr_planner.core.forecast.seasonal import holt_winters, periods
from dgdr_planner.core.forecast.selection import Candidate, Chosen, select
from dgdr_planner.core.forecast.trend import TRENDS, damped_trend, last_values
from dgdr_planner.core.forecast.value import Forecast
from dgdr_planner.core.observation import Unknown

#: Steps that are looked ahead at most: a start-up of 2 hours at a step of a minute.
MOST_LEADS = 120


class Model(StrEnum):
    """Who may speak. Auto: whoever was clearly better than the last value lately."""

    AUTO = "Auto"
    LAST_VALUE = "LastValue"
    DAMPED_TREND = "DampedTrend"
    HOLT_WINTERS = "HoltWinters"
    KALMAN = "Kalman"
    ARIMA = "ARIMA"
    PROPHET = "Prophet"


#: An optional model: (rates of shape (n,) without gaps, leads) -> paths of shape (n, leads).
Optional = Callable[[Floats, int], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """Forecasts from a history alone, the same each time.

    ``optional`` holds the models that need libraries of their own, see ``extras``.
    """

    optional: Mapping[str, Optional] = field(default_factory=dict)

    def forecast(
        self, demand: Demand, horizon_s: float, quantile: float, model: str = Model.AUTO
    ) -> Forecast | Unknown:
        """Return the load that starts to be served in ``horizon_s`` seconds.

        ``horizon_s`` is start-up plus decision time. What was not seen in the newest window is
        Unknown: history says what is usual, not what is now.
        """
        _check(horizon_s, quantile)
        wanted = _model(model)
        newest = demand.newest
        if newest is None or not math.isfinite(newest[2]):
            return Unknown("NoRecentLoad", "the load of the newest window is not known")
        grid = on_grid(demand)
        lead = min(math.ceil(horizon_s / grid.step_s - 1e-9) + 1, MOST_LEADS)
        chosen = select(grid.rate_per_s, self._candidates(grid, lead, wanted))
        isl = expected_length(grid.isl, grid.requests, lead)
        osl = expected_length(grid.osl, grid.requests, lead)
        planned, held = _quantiles(grid, chosen, quantile)
        if planned > 0 and (isl is None or osl is None):
            return Unknown("NothingFinished", "requests arrive, but none has finished yet")
        return Forecast(
            rate_per_s=float(chosen.paths[-1, -1]),
            isl=isl,
            osl=osl,
            planned_rate_per_s=planned,
            hold_rate_per_s=max(held, planned),
            model=chosen.model,
            horizon_s=horizon_s,
        )

    def _candidates(self, grid: Grid, leads: int, model: Model) -> list[Candidate]:
        """Return who may speak; the last value comes first, and alone while others cannot."""
        rate = grid.rate_per_s
        last = Candidate(model=Model.LAST_VALUE, paths=last_values(rate, leads))
        match model:
            case Model.AUTO:
                others = [*_trends(rate, leads), *_kalman(grid, leads), *_seasonal(rate, leads)]
            case Model.LAST_VALUE:
                others = []
            case Model.DAMPED_TREND:
                others = _trends(rate, leads)
            case Model.HOLT_WINTERS:
                others = _seasonal(rate, leads)
            case Model.KALMAN:
                others = _kalman(grid, leads)
            case Model.ARIMA | Model.PROPHET:
                others = [Candidate(model=model, paths=self._optional(model)(rate, leads))]
            case _:
                assert_never(model)
        return [last, *others]

    def _optional(self, model: Model) -> Optional:
        if model not in self.optional:
            raise ValueError(f"model is {model}, which was not loaded: give it to Forecaster")
        return self.optional[model]


def _check(horizon_s: float, quantile: float) -> None:
    if not (math.isfinite(horizon_s) and horizon_s >= 0):
        raise ValueError(f"horizon_s is {horizon_s}: give start-up plus decision seconds, >= 0")
    if not 0.5 <= quantile < 1.0:
        raise ValueError(f"quantile is {quantile}: give a share in [0.5, 1), as 0.9")


def _model(name: str) -> Model:
    try:
        return Model(name)
    except ValueError:
        raise ValueError(f"model is {name!r}: choose one of {', '.join(Model)}") from None


def _trends(rate_per_s: Floats, leads: int) -> list[Candidate]:
    return [
        Candidate(model=Model.DAMPED_TREND, paths=damped_trend(rate_per_s, leads, keep, damping))
        for keep, damping in TRENDS
    ]


def _kalman(grid: Grid, leads: int) -> list[Candidate]:
    return [Candidate(model=Model.KALMAN, paths=kalman(grid.rate_per_s, leads, grid.step_s))]


def _seasonal(rate_per_s: Floats, leads: int) -> list[Candidate]:
    return [
        Candidate(model=Model.HOLT_WINTERS, paths=holt_winters(rate_per_s, leads, period))
        for period in periods(rate_per_s)
    ]


def _quantiles(grid: Grid, chosen: Chosen, quantile: float) -> tuple[float, float]:
    """Return the quantile of the farthest step, and that of the highest step until then."""
    rate, leads = grid.rate_per_s, chosen.paths.shape[1]
    ahead = np.full(chosen.paths.shape, np.nan)
    for lead in range(1, leads + 1):
        ahead[:-lead, lead - 1] = rate[lead:]
    whole = np.isfinite(ahead).all(axis=1) & np.isfinite(chosen.paths).all(axis=1)
    seen, said, now = ahead[whole], chosen.paths[whole], chosen.paths[-1]
    planned = upper(seen[:, -1], said[:, -1], float(now[-1]), quantile, leads, grid.step_s)
    if leads == 1:
        return planned, planned
    highest = upper(
        seen.max(axis=1), said.max(axis=1), float(now.max()), quantile, leads, grid.step_s
    )
    return planned, highest
