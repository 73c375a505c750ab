"""What fast looks say of a rise: to which rate, and how it goes on until replicas serve.

One look may be one burst of a few seconds: it is answered by half as much again as was planned
for, at most. Two looks in a row that are both above the plan are a rise, and are believed: no two
looks count the same request. Three of which each is above the one before are a ramp: its slope,
less what counting leaves uncertain, goes on, damped, until replicas that are ordered now serve; by
at most half of what was seen, and by no more than it began with.

What is clear depends on the load: a rate is as uncertain as counting leaves it, and as looks have
lately differed from those around them. Loads that come in bursts are left to the ticks.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from dgdr_planner.observe.looks import Look

#: Standard errors of a count by which a lone look, and each of two in a row, is above the plan.
ALONE, IN_A_ROW = 4.0, 2.0
#: What a lone look may plan for, over the plan; what the last of two may be over the first of them.
MOST = 1.5
#: Standard errors that are taken off what a ramp has risen by.
CERTAIN = 2.0
#: What a ramp may add, over what was seen.
MOST_ADDED = 0.5
#: Looks of a minute, where one comes every 15 s.
BEFORE = 4
#: The median of |a - 2 b + c| of independent numbers in their standard deviations, and the fewest.
BENDS, FEWEST_BENDS = 1.65, 4
#: Seconds in which a ramp loses its slope, but for 1/e: as 0.7 a minute.
LASTS_S = 168.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rise:
    """A rate per second to plan for, what the tick planned for, and the look that showed it."""

    planned_per_s: float
    over_per_s: float
    look: Look


def rise(
    looks: Sequence[Look], planned_per_s: float, quantile: float, horizon_s: float
) -> Rise | None:
    """Return what to plan for by these looks, the newest last; None where it is no more."""
    if not looks or _falls(looks):
        return None
    last, noise_per_s = looks[-1], _noise(looks)
    level = max(
        _level(looks, planned_per_s, noise_per_s), _ramp(looks[-3:], horizon_s, noise_per_s)
    )
    if level <= planned_per_s:
        return None
    chance = NormalDist().inv_cdf(quantile) * _error(level, 2.0 * last.window_s)
    return Rise(planned_per_s=level + chance, over_per_s=planned_per_s, look=last)


def _falls(looks: Sequence[Look]) -> bool:
    """Whether the last look is below all of a minute before it: what is still above goes down."""
    before = [look.rate_per_s for look in looks[-1 - BEFORE : -1]]
    return len(before) == BEFORE and looks[-1].rate_per_s < min(before)


def _level(looks: Sequence[Look], planned_per_s: float, noise_per_s: float) -> float:
    """Return the rate that is believed; 0 where it is not clearly above the plan."""
    last = looks[-1].rate_per_s
    error = max(_error(planned_per_s, looks[-1].window_s), noise_per_s)
    if len(looks) > 1:
        both = min(last, looks[-2].rate_per_s)
        if both > planned_per_s + IN_A_ROW * error:
            return min(last, MOST * both)
    return min(last, MOST * planned_per_s) if last > planned_per_s + ALONE * error else 0.0


def _ramp(looks: Sequence[Look], horizon_s: float, noise_per_s: float) -> float:
    """Return to which rate a ramp goes on; 0 where it is none for certain."""
    rates_per_s = [look.rate_per_s for look in looks]
    if len(looks) < 3 or not rates_per_s[0] < rates_per_s[1] < rates_per_s[2]:
        return 0.0
    first, last = looks[0], looks[-1]
    error = math.hypot(
        *(max(_error(one.rate_per_s, one.window_s), noise_per_s) for one in (first, last))
    )
    risen = last.rate_per_s - first.rate_per_s - CERTAIN * error
    if risen <= 0.0:
        return 0.0
    lasts_s = LASTS_S * (1.0 - math.exp(-horizon_s / LASTS_S))
    added = risen / (last.at_s - first.at_s) * lasts_s
    # What comes out of nothing is a burst.
    return last.rate_per_s + min(added, MOST_ADDED * last.rate_per_s, first.rate_per_s)


def _noise(looks: Sequence[Look]) -> float:
    """Return by how much a look usually differs from a line through its neighbours, as one error.

    The median leaves a step and the begin of a ramp out; 0 where there are too few to tell.
    """
    rates_per_s = np.array([look.rate_per_s for look in looks])
    bends = np.abs(np.diff(rates_per_s, 2))
    return float(np.median(bends)) / BENDS if bends.size >= FEWEST_BENDS else 0.0


def _error(rate_per_s: float, window_s: float) -> float:
    """Return the standard error of a rate that was counted over a window."""
    return math.sqrt(max(rate_per_s, 1.0 / window_s) / window_s)
