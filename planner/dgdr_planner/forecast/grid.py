"""The history on equal steps, as forecasters want it: gaps are NaN, never zero."""

import math
from dataclasses import dataclass
from statistics import median

import numpy as np

from dgdr_planner.forecast.demand import AT, ISL, OSL, RATE, WINDOW, Demand, Floats

#: Steps that are looked back: four hours at one step a minute.
LOOKED_BACK = 240
#: Spacings from which the step is told: a new interval holds after 8 windows.
SPACINGS = 16
#: Least spacing as a share of the window.
LEAST_SPACING = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Arrays of shape (n,), the newest step last.

    ``requests`` counts arrivals of a step; ``older`` are the bins before, shape (bins, 5).
    """

    step_s: float
    newest_s: float
    older: Floats
    rate_per_s: Floats
    requests: Floats
    isl: Floats
    osl: Floats

    @property
    def size(self) -> int:
        """Number of steps."""
        return self.rate_per_s.size

    @property
    def at_s(self) -> Floats:
        """Ends of the steps, shape (n,)."""
        return np.asarray(self.newest_s + self.step_s * np.arange(1.0 - self.size, 1.0))


def on_grid(demand: Demand) -> Grid:
    """Put the recent windows of a history that is not empty on steps of their usual spacing."""
    rows = demand.recent
    step_s = _step_s(rows)
    # Spacing by spacing: a step that is a little off must not add up over hours.
    spacings = np.rint(_spacings_s(rows) / step_s)
    ages = np.append(spacings[::-1].cumsum()[::-1], 0.0)
    lately = ages < LOOKED_BACK
    rows, ages = rows[lately], ages[lately].astype(np.intp)
    size = int(ages[0]) + 1
    slots = size - 1 - ages
    if np.array_equal(slots, np.arange(size)):
        rate, isl, osl = rows[:, RATE], rows[:, ISL], rows[:, OSL]
    else:
        rate, isl, osl = (_spread(rows[:, c], slots, size) for c in (RATE, ISL, OSL))
    return Grid(
        step_s=step_s,
        newest_s=float(demand.recent[-1, AT]),
        older=demand.older,
        rate_per_s=rate,
        requests=np.where(np.isfinite(rate), rate, 0.0) * step_s,
        isl=isl,
        osl=osl,
    )


def _step_s(rows: Floats) -> float:
    """Return the usual spacing of the newest windows; of one window alone its length.

    Windows may overlap, but passes that follow each other within a blink are no interval.
    """
    window_s = float(rows[-1, WINDOW])
    if len(rows) < 2:
        return window_s
    spacings_s: list[float] = _spacings_s(rows[-SPACINGS - 1 :]).tolist()
    return max(median(spacings_s), LEAST_SPACING * window_s)


def _spacings_s(rows: Floats) -> Floats:
    return np.asarray(rows[1:, AT] - rows[:-1, AT])


def _spread(values: Floats, slots: np.typing.NDArray[np.intp], size: int) -> Floats:
    """Return the mean of the known values of each slot, shape (size,)."""
    told = np.isfinite(values)
    total = np.bincount(slots[told], values[told], size)
    count = np.bincount(slots[told], minlength=size)
    return np.asarray(np.divide(total, count, out=np.full(size, math.nan), where=count > 0))
