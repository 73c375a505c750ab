"""From a history to the load that the next replicas are ordered for."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from dgdr_planner.forecast.demand import Demand, Floats
from dgdr_planner.forecast.grid import Grid, on_grid
from dgdr_planner.forecast.kalman import kalman
from dgdr_planner.forecast.lengths import expected_lengths
from dgdr_planner.forecast.newsvendor import Planned, followed, planned
from dgdr_planner.forecast.rise import Rise, rise
from dgdr_planner.forecast.season import holt_winters, periods, remembered_season
from dgdr_planner.forecast.selection import Candidate, Chosen, select
from dgdr_planner.forecast.smoothing import (
    MEANS,
    TREND_DAMPINGS,
    TREND_KEEPS,
    damped_trend,
    last_values,
    means,
    medians,
    rises,
)
from dgdr_planner.observe.looks import Look
from dgdr_planner.observe.value import Unknown

#: Share of a step by which a start may be late: a start-up of 62 s is one of a minute.
LATE = 0.2
#: Steps that are looked ahead at most: a start-up of 2 hours at a step of a minute.
MOST_LEADS = 120


class Model(StrEnum):
    """Who may speak. Auto: whoever was clearly better than the last value lately."""

    AUTO = "Auto"
    LAST_VALUE = "LastValue"
    DAMPED_TREND = "DampedTrend"
    HOLT_WINTERS = "HoltWinters"
    KALMAN = "Kalman"
    MEAN = "Mean"
    MEDIAN = "Median"
    ARIMA = "ARIMA"
    PROPHET = "Prophet"


OPTIONAL = (Model.ARIMA, Model.PROPHET)

#: Newest steps that a model with a loop of its own learns from; it forgets faster than that.
LATELY = 120


def _lately(model: Callable[[Floats, int, float], Floats], grid: Grid, leads: int) -> Floats:
    """Return what a model says of the newest steps; NaN before."""
    paths = np.full((grid.size, leads), np.nan)
    paths[-LATELY:] = model(grid.rate_per_s[-LATELY:], leads, grid.step_s)
    return paths


#: Forecasts of each built-in model: of shape (n, leads), one for each of its settings.
BUILT_IN: Mapping[Model, Callable[[Grid, int], list[Floats]]] = {
    Model.LAST_VALUE: lambda grid, leads: [],
    Model.MEAN: lambda grid, leads: [
        *means(grid.rate_per_s, np.ones(grid.size), leads, MEANS),
    ],
    Model.MEDIAN: lambda grid, leads: [medians(grid.rate_per_s, leads)],
    Model.DAMPED_TREND: lambda grid, leads: [
        *damped_trend(grid.rate_per_s, leads, TREND_KEEPS, TREND_DAMPINGS),
    ],
    Model.KALMAN: lambda grid, leads: [_lately(kalman, grid, leads)],
    Model.HOLT_WINTERS: lambda grid, leads: [
        *(holt_winters(grid.rate_per_s, leads, period) for period in periods(grid.rate_per_s)),
        *remembered_season(grid.older, grid.at_s, grid.rate_per_s, leads),
    ],
}

#: An optional model: (rates of shape (n,) without gaps, leads) -> paths of shape (n, leads).
Optional = Callable[[Floats, int], Floats]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Load to plan for. Lengths are None as long as no request ever finished.

    ``rate_per_s`` is the expected load of the window in which replicas that are ordered now
    start to serve; ``planned_rate_per_s`` is the quantile of it that is planned for, and
    ``hold_rate_per_s`` the same quantile of the highest window from now until then, never less:
    replicas that are there already must not fall below it. None: nothing but a last value is
    known, see ``planned`` and ``held``. ``model`` names who expects ``rate_per_s``, ``planned_by``
    whose quantile is planned for; None is that of what was seen. A plan may be below
    ``rate_per_s`` where that repeats a burst, and bursts have not lasted. ``is_calm``: nothing has
    risen lately, nor is expected to, and what is held above the plan is what was seen or missed
    once. ``raised`` is what fast looks have made of ``planned_rate_per_s``.
    """

    rate_per_s: float
    isl: float | None = None
    osl: float | None = None
    planned_rate_per_s: float | None = None
    hold_rate_per_s: float | None = None
    model: str = "LastValue"
    planned_by: str | None = None
    horizon_s: float = 0.0
    is_calm: bool = False
    raised: Rise | None = None

    def raised_by(self, looks: Sequence[Look], quantile: float) -> "Forecast":
        """Return the forecast with what fast looks say, compared with what the tick planned."""
        # Looks see now, and until replicas serve more may come than then: that is no rise.
        expected = self.planned if self.is_calm else self.held
        ticked = expected if self.raised is None else self.raised.over_per_s
        found = rise(looks, ticked, quantile, self.horizon_s)
        if found is None or found.planned_per_s <= self.planned:
            return self
        rate_per_s = found.planned_per_s
        return replace(
            self,
            planned_rate_per_s=rate_per_s,
            hold_rate_per_s=max(self.held, rate_per_s),
            raised=found,
        )

    @property
    def planned(self) -> float:
        """Rate per second to grow to."""
        return self.rate_per_s if self.planned_rate_per_s is None else self.planned_rate_per_s

    @property
    def held(self) -> float:
        """Rate per second not to shrink below; never less than the planned one."""
        return self.planned if self.hold_rate_per_s is None else self.hold_rate_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """Forecasts from a history alone, the same each time.

    ``optional`` holds the models that need libraries of their own, see ``extras``.
    """

    optional: Mapping[str, Optional] = field(default_factory=dict)

    def forecast(
        self, demand: Demand, horizon_s: float, quantile: float, model: str = Model.AUTO
    ) -> Forecast | Unknown:
        """Return the load of the step that begins in ``horizon_s`` seconds.

        ``horizon_s`` is the start-up time, without the interval: the step that is forecast reaches
        from there to one interval later. What was not seen in the newest window is Unknown: history
        says what is usual, not what is now.
        """
        _check(horizon_s, quantile)
        wanted = _model(model)
        newest = demand.newest
        if newest is None or not math.isfinite(newest[2]):
            return Unknown("NoRecentLoad", "the load of the newest window is not known")
        grid = on_grid(demand)
        lead = min(math.ceil(horizon_s / grid.step_s - LATE) + 1, MOST_LEADS)
        candidates = self._candidates(grid, lead, wanted)
        chosen = select(grid.rate_per_s, candidates)
        isl, osl = expected_lengths(np.array([grid.isl, grid.osl]), grid.requests)
        plan = _planned(grid, candidates, chosen, quantile, wanted)
        if plan.grow > 0 and (isl is None or osl is None):
            return Unknown("NothingFinished", "requests arrive, but none has finished yet")
        return Forecast(
            rate_per_s=float(chosen.paths[-1, -1]),
            isl=isl,
            osl=osl,
            planned_rate_per_s=plan.grow,
            hold_rate_per_s=plan.hold,
            model=chosen.model,
            planned_by=plan.model,
            horizon_s=horizon_s,
            is_calm=plan.is_calm,
        )

    def _candidates(self, grid: Grid, leads: int, model: Model) -> list[Candidate]:
        """Return who may speak; the last value comes first, and alone while others cannot."""
        last = Candidate(model=Model.LAST_VALUE, paths=last_values(grid.rate_per_s, leads))
        if model in self.optional:
            paths = self.optional[model](grid.rate_per_s, leads)
            return [last, Candidate(model=model, paths=paths)]
        if model in OPTIONAL:
            raise ValueError(
                f"model is {model}, which was not loaded: use load_forecaster({model})"
            )
        built = BUILT_IN if model is Model.AUTO else {model: BUILT_IN[model]}
        others = [
            Candidate(model=name, paths=paths)
            for name, forecasts in built.items()
            for paths in forecasts(grid, leads)
        ]
        return [last, *others]


def _check(horizon_s: float, quantile: float) -> None:
    if not (math.isfinite(horizon_s) and horizon_s >= 0):
        raise ValueError(f"horizon_s is {horizon_s}: give the seconds that a start takes, >= 0")
    if not 0.5 <= quantile < 1.0:
        raise ValueError(f"quantile is {quantile}: give a share in [0.5, 1), as 0.9")


def _model(name: str) -> Model:
    try:
        return Model(name)
    except ValueError:
        raise ValueError(f"model is {name!r}: choose one of {', '.join(Model)}") from None


def _planned(
    grid: Grid, candidates: list[Candidate], chosen: Chosen, quantile: float, wanted: Model
) -> Planned:
    """Return what to plan for; a model that was asked for by name need not prove itself."""
    rate_per_s, step_s = grid.rate_per_s, grid.step_s
    if wanted is not Model.AUTO:
        who = Candidate(model=chosen.model, paths=chosen.paths)
        return followed(rate_per_s, who, quantile, step_s)
    rise = rises(rate_per_s, candidates[0].paths.shape[1], step_s)
    return planned(rate_per_s, candidates, rise, quantile, step_s)
