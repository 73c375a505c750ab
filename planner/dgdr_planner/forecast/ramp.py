"""A rise or a fall that goes on: the line through the newest windows, where it is one for certain.

Plans of what was seen, and of forecasters that were right while the load stood still, are late on a
ramp at every window, and wide long after it. Its own windows say what it does: the line through the
longest run of them that lie on it as well as noise lets them, its slope, and how unsure both are.
How long a ramp will last nobody knows; one of k windows is expected to go on for about k more, so
that its slope fades by k / (k + 1) a window.

Loads whose windows differ by much more than counting explains are left to others: a line through
bursts, or through a curve that turns within minutes, says nothing of what comes.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist, median

import numpy as np

from dgdr_planner.forecast.demand import Floats

#: Fewest windows of a line, two being no trend yet, and most: ten minutes, at one a minute.
FEWEST, MOST = 3, 10
#: Windows of a line by their distance from its middle.
PLACES = {windows: np.arange(windows) - (windows - 1) / 2.0 for windows in range(FEWEST, MOST + 1)}
#: Standard errors of its slope by which a line is steep for certain. Lines of eight lengths are
#: tried at each window: a steady load passes this about once in 10,000 windows.
CERTAIN = 4.0
#: Variance around a line, over that of the noise, with which windows still lie on it.
LOOSE = 2.0
#: The median of |a - 2 b + c| of independent numbers in their standard deviations.
BENDS = 1.65
#: Windows that say what noise is usual, fewest bends that do, and how many times that of counting
#: it may be.
USUAL, FEWEST_BENDS, SMOOTH = 60, 4, 3.0
#: What a rise may add, over what was seen: as much as one that fast looks show.
MOST_ADDED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Ramp:
    """A line of so many windows up to the newest; ``noise_per_s`` is that of a window.

    ``slope_per_s`` is its change by a window, below 0 of a fall.
    """

    windows: int
    level_per_s: float
    slope_per_s: float
    noise_per_s: float

    def goes_to(self, lead: int, quantile: float) -> float:
        """Return the quantile of where a rise is ``lead`` windows from now."""
        keep = self.windows / (self.windows + 1.0)
        steps = keep * (1.0 - keep**lead) / (1.0 - keep)
        gone = self._upper(self.level_per_s + self.slope_per_s * steps, steps, quantile)
        return min(gone, (1.0 + MOST_ADDED) * self.level_per_s)

    def stands_at(self, quantile: float) -> float:
        """Return the quantile of where it is now."""
        return self._upper(self.level_per_s, 0.0, quantile)

    def _upper(self, rate_per_s: float, ahead: float, quantile: float) -> float:
        # A line is surest in its middle.
        ahead += (self.windows - 1) / 2.0
        share = math.sqrt(1.0 / self.windows + ahead**2 / _spread(self.windows))
        return rate_per_s + NormalDist().inv_cdf(quantile) * share * self.noise_per_s

    def surprises(self, rate_per_s: Floats, said: Floats, lead: int) -> bool:
        """Whether who ``said`` this, ``lead`` windows before, foresaw less than half of the ramp.

        Who saw it come, up or down, knows better where it ends; who never spoke of it did not.
        """
        seen, told = rate_per_s[-self.windows :], said[:-lead][-self.windows :]
        if told.size < seen.size or not np.isfinite(told).all():
            return True
        missed_per_s = float((seen - told).mean())
        return missed_per_s / (self.slope_per_s * lead) > 0.5


def ramp(rate_per_s: Floats, step_s: float) -> Ramp | None:
    """Return the ramp that the newest windows are; None where they are none for certain.

    ``rate_per_s`` has shape (n,), NaN where unknown.
    """
    usual = _bends(rate_per_s)
    found: Ramp | None = None
    for windows in range(FEWEST, min(MOST, rate_per_s.size) + 1):
        seen = rate_per_s[-windows:]
        if not math.isfinite(seen[0]):
            break
        middle = float(seen.sum()) / windows
        counting = math.sqrt(max(middle, 1.0 / step_s) / step_s)
        if usual > SMOOTH * counting:
            break
        noise, at = max(counting, usual), PLACES[windows]
        slope = float(at @ seen) / _spread(windows)
        rest = seen - middle - slope * at
        if float(rest @ rest) > LOOSE * (windows - 2) * noise**2:
            break
        if abs(slope) > CERTAIN * noise / math.sqrt(_spread(windows)):
            level = middle + slope * float(at[-1])
            found = Ramp(windows=windows, level_per_s=level, slope_per_s=slope, noise_per_s=noise)
    return found


def _spread(windows: int) -> float:
    """Return the sum of the squared distances of so many windows from their middle."""
    return windows * (windows**2 - 1) / 12.0


def _bends(rate_per_s: Floats) -> float:
    """Return by how much a window usually differs from a line through its neighbours.

    A ramp does not bend, and the median leaves its begin out. Infinite where too few tell.
    """
    seen = rate_per_s[-USUAL:]
    slopes = seen[1:] - seen[:-1]
    bends = np.abs(slopes[1:] - slopes[:-1])
    known: list[float] = bends[np.isfinite(bends)].tolist()
    return median(known) / BENDS if len(known) >= FEWEST_BENDS else math.inf
