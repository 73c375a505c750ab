"""A histogram of one window: how many observations were at most each bound.

Dynamo's bounds double from bucket to bucket, so a percentile is known to a factor of two at worst;
inside a bucket observations are taken to be spread evenly, as Prometheus' ``histogram_quantile``
does, so that our numbers are those of a dashboard.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class Histogram:
    """Upper bounds, ascending and finite, and the observations at most as large.

    ``total`` counts those above the last bound too. ``at_most`` never falls.
    """

    bounds: tuple[float, ...]
    at_most: tuple[float, ...]
    total: float

    @classmethod
    def of(cls, buckets: Iterable[tuple[float, float]]) -> "Histogram | None":
        """Read (upper bound, observations) pairs in any order; equal bounds are added up.

        None where nothing was observed. A bucket that lost observations, because one pod's were
        no numbers, takes those of the bucket below.
        """
        added: dict[float, float] = {}
        for bound, observations in buckets:
            added[bound] = added.get(bound, 0.0) + observations
        bounds = sorted(bound for bound in added if math.isfinite(bound))
        at_most: list[float] = []
        for bound in bounds:
            at_most.append(max(added[bound], at_most[-1] if at_most else 0.0))
        total = max([added.get(math.inf, 0.0), *at_most[-1:]])
        # Growth is extrapolated to whole windows: what is left below one half is not a request.
        if not bounds or total < 0.5:
            return None
        return cls(tuple(bounds), tuple(at_most), total)

    def quantile(self, share: float) -> float:
        """Value that this share (0 to 1) of the observations does not exceed.

        Beyond the last bound nothing is known: the last bound then is what it is at least.
        """
        rank = share * self.total
        below_bound, below = 0.0, 0.0
        for bound, here in zip(self.bounds, self.at_most, strict=True):
            if here >= rank:
                inside = (rank - below) / (here - below) if here > below else 1.0
                return below_bound + inside * (bound - below_bound)
            below_bound, below = bound, here
        return self.bounds[-1]

    def share_within(self, limit: float) -> float:
        """Share of the observations that do not exceed a limit."""
        below_bound, below = 0.0, 0.0
        for bound, here in zip(self.bounds, self.at_most, strict=True):
            if bound >= limit:
                width = bound - below_bound
                inside = (limit - below_bound) / width if width > 0 else 1.0
                return (below + inside * (here - below)) / self.total
            below_bound, below = bound, here
        return below / self.total

    def points(self, mean: float | None = None) -> tuple[tuple[float, float], ...]:
        """(share, value) pairs, ascending in both: the bounds of the buckets that hold anything.

        With ``mean`` the values are scaled to have this mean, which the sum of all observations
        gives exactly, when spread evenly between the pairs.
        """
        lower, points = 0.0, [(0.0, 0.0)]
        for (share_before, _), (share, bound) in pairwise([(0.0, 0.0), *self._shares()]):
            if share > share_before:
                if len(points) == 1:
                    points = [(0.0, lower)]
                points.append((share, bound))
            lower = bound
        if points[-1][0] < 1.0:
            points.append((1.0, self.bounds[-1]))
        if mean is None:
            return tuple(points)
        own = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))
        return tuple((share, value * mean / own) for share, value in points)

    def _shares(self) -> list[tuple[float, float]]:
        return [
            (here / self.total, bound)
            for bound, here in zip(self.bounds, self.at_most, strict=True)
        ]

    def scaled(self, factor: float) -> "Histogram":
        """The same observations in another unit."""
        return Histogram(tuple(factor * b for b in self.bounds), self.at_most, self.total)
