"""From a need such as 2.97 replicas to a number of replicas that does not flicker.

A load that is counted over a window is known to about the square root of its requests, so a need
is only then *above* or *below* a number of replicas when it is so by more than that noise. Within
the band around what is there, the mean of several needs decides: it is known better than each.
"""

import math
from dataclasses import dataclass

from dgdr_planner.forecast.demand import Demand
from dgdr_planner.forecast.forecaster import Forecast
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import Idle, number
from dgdr_planner.size.curves import Need, RoleSizing

# No load is steadier than this, whatever the number of requests: lengths vary too.
LEAST_NOISE = 0.02
# Beyond it the band would hide real load.
MOST_NOISE = 0.08
# Standard deviations by which a single need is above what is there, or below what would be left.
# Going down has the stabilisation window besides, over which the highest need counts, and a need is
# that of a quantile, which covers what counting leaves uncertain already.
UP, DOWN = 3.0, 1.0
# Share by which the mean of many needs has to be above: a forecast's width moves by about as much
# under a constant load, and less than the quantile that is planned for leaves to spare.
SUSTAINED = 0.05
# Needs inside the band that decide by their mean.
FEWEST_NEEDS = 3
MOST_NEEDS = 30
# Of the stabilisation window: silence for so long may be an outage in front of the deployment, and
# its load comes back at once. By default that is three minutes, and the first replicas go after
# five, as those of other autoscalers.
OUTAGE, LONGEST_S = 1.5, 180.0
# Who has seen fewer windows does not know what it would give away.
FEWEST_WINDOWS = 10
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Advice:
    """Replicas to have, and the needs around that number which still count."""

    replicas: int
    near: tuple[float, ...] = ()


def noise(requests: float) -> float:
    """Return the share by which a need varies that was counted from so many requests."""
    counted = 1.0 / math.sqrt(requests) if requests > 0 else MOST_NOISE
    return min(max(counted, LEAST_NOISE), MOST_NOISE)


def replicas_needed(
    seen: LoadSeen,
    found: RoleSizing | None,
    forecast: Forecast,
    current: int,
    fewest: int,
    near: tuple[float, ...],
    past: Demand,
    *,
    is_late: bool = False,
    patience_s: float = 0.0,
) -> Advice:
    """Return the replicas that the load needs.

    Only confirmed idleness needs none: when it has lasted for longer than ``patience_s`` by half,
    half of them go at a time. Long answers may be in
    flight while nothing arrives: they hold the replicas that serve them. Nothing is given up before
    enough of the ``past`` was seen, and not by a role whose target is missed.
    """
    if isinstance(seen.rate_per_s, Idle):
        if past.idle_s < min(OUTAGE * patience_s, LONGEST_S):
            return Advice(current)
        return Advice(max(current // 2, min(fewest, current)))
    if found is None or forecast.planned <= 0:
        return Advice(current)
    share, kept = (noise(rate * seen.window_s) for rate in (forecast.planned, forecast.held))
    advice = advise(found.need, current, share, near, kept)
    holds = is_late or past.known < FEWEST_WINDOWS or number(seen.rate_per_s) == 0
    return Advice(current) if holds and advice.replicas < current else advice


def advise(
    need: Need,
    current: int,
    share: float,
    near: tuple[float, ...],
    kept_share: float | None = None,
) -> Advice:
    """Return how many replicas to have when ``current`` are there and needs vary by ``share``.

    ``kept_share`` is by what the need to hold varies, where that is of more requests.

    Up when the need is clearly above ``current``, or the mean of the newest needs near it is: that
    of ``k`` needs varies by ``share / sqrt(k)``. Down to where the rest can carry the whole
    load, each ``N / (N - 1)`` of what it carries now, and still has the noise to spare: otherwise
    noise would bring it back.
    """
    if need.grow > current * (1.0 + UP * share) + _ROUNDING:
        return Advice(_whole(need.grow))
    fewer = _whole(need.hold / (1.0 - DOWN * (share if kept_share is None else kept_share)))
    if fewer < current:
        return Advice(fewer)
    if need.grow < current * (1.0 - UP * share):
        return Advice(current)
    known = (*near, need.grow)[-MOST_NEEDS:]
    return Advice(current + 1) if _sustained(known, current, share) else Advice(current, known)


def _sustained(known: tuple[float, ...], current: int, share: float) -> bool:
    """Whether the mean of the newest needs, of few or of many, is clearly above ``current``.

    Older ones must not outweigh those of a load that has risen since.
    """
    total = 0.0
    for count, need in enumerate(reversed(known), 1):
        total += need
        clear = 1.0 + max(UP * share / math.sqrt(count), SUSTAINED)
        if count >= FEWEST_NEEDS and total > count * current * clear:
            return True
    return False


def beyond_most(most: int, need: Need) -> int:
    """Return what is needed by a role that has all the replicas that it may have.

    Noise decides nothing there: what is above is not given, and said as long as it is above.
    """
    return max(most, _whole(need.grow))


def _whole(need: float) -> int:
    return max(math.ceil(need - _ROUNDING), 0)
