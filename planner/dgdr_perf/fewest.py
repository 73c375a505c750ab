"""The search for the fewest engines: each look of it is a queue to compute."""

import math
from collections.abc import Callable, Iterable, Sequence

from dgdr_perf.sizing_result import MOST_REPLICAS

# What is waited over what is allowed is looked at between these.
LEAST_SHOWN, MOST_SHOWN = 1e-6, 100.0
# The first step as a share of the engines that are busy, where nobody knows better; the farthest
# one, and the end of all, as logarithms.
FIRST_STEP, FAR_STEP, FARTHEST = 0.25, math.log(4.0), math.log(2.0 * MOST_REPLICAS)
# The points that a step is told from, the product of the distances from them that counts as none,
# and the width of an interval that does.
POINTS, NEAR, NARROW = 3, 1e-6, 1e-8
# Logarithm of a number of engines, and that of what is waited over what is allowed.
Point = tuple[float, float]


def fewest(excess: Callable[[float], float], busy: float, first: Iterable[float] = ()) -> float:
    """Smallest real number of engines above ``busy`` at which a falling excess is not above 0.

    By inverse interpolation of logarithms: waits fall with the number of engines about as a power
    does. The last step is trusted where its error, about the product of the distances from the
    points that it was told from, is negligible. ``first`` are the numbers to look at first.
    """
    if not 0 < busy < MOST_REPLICAS:
        return max(busy, 0.0)
    first = [engines for engines in first if engines > busy] or [(1.0 + FIRST_STEP) * busy]

    def point(engines: float) -> Point:
        return math.log(engines), shown(excess(engines))

    found = sorted(map(point, [busy, *first]), key=lambda one: abs(one[1]))
    low = max((place for place, height in found if height > 0), default=math.log(busy))
    high = min((place for place, height in found if height <= 0), default=math.inf)
    known = found[POINTS - 1 :: -1]
    while True:
        root = _crossing(known)
        if low <= root <= high and math.prod(abs(root - place) for place, _ in known) < NEAR:
            return math.exp(root)
        at = _inside(root, low, high)
        if at > FARTHEST or high - low <= NARROW:
            return math.exp(min(at, high))
        known = [*known[1 - POINTS :], point(math.exp(at))]
        low, high = (at, high) if known[-1][1] > 0 else (low, at)


def shown(excess: float) -> float:
    """Logarithm of what is waited over what is allowed, where none at all and endless have one."""
    return math.log(min(max(1.0 + excess, LEAST_SHOWN), MOST_SHOWN))


def _crossing(known: Sequence[Point]) -> float:
    """Return where a curve through some points is at a height of 0, by Neville's scheme.

    NaN where two of them are equally high.
    """
    places, heights = [place for place, _ in known], [height for _, height in known]
    for width in range(1, len(places)):
        for left in range(len(places) - width):
            rise = heights[left + width] - heights[left]
            if rise == 0:
                return math.nan
            across = heights[left + width] * places[left] - heights[left] * places[left + 1]
            places[left] = across / rise
    return places[0]


def _inside(root: float, low: float, high: float) -> float:
    """Return where to look next: elsewhere where the root is not between what is known, or far."""
    if low < root < min(high, low + FAR_STEP):
        return root
    return low + FAR_STEP if math.isinf(high) else (low + high) / 2.0
