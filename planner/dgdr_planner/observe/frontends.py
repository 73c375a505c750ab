"""One frontend pod: its series over a window, and what its counters grew by.

A value that falls is a restart and counts from zero; a series that appears on a pod which was
already scraped is a first request and counts from zero too; a pod that appears or goes counts for
the time that it was seen.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from dgdr_planner.observe import queries
from dgdr_planner.observe.snapshot import Series

# A scrape may be late or fail once; twice in a row is a frontend that we do not see.
STALE_AFTER_SCRAPES = 3.0
USUAL_SCRAPE_S = 5.0
COUNTS_LOAD = (queries.STARTED, queries.COMPLETED, queries.IN_FLIGHT)


@dataclass(frozen=True, slots=True)
class Frontend:
    """One frontend: its series by metric, when it was scraped first and last, and restarts.

    ``restarts_s`` are the times of the first scrape after each restart.
    """

    series: Mapping[str, tuple[Series, ...]]
    first_s: float
    last_s: float
    scrape_s: float
    restarts_s: tuple[float, ...]

    @property
    def covered_s(self) -> float:
        """Seconds of the window in which it was scraped."""
        return self.last_s - self.first_s

    def increase(self, name: str) -> float:
        """Growth of a counter, over all label values of this pod."""
        return sum(self._growth(series) for series in self._good(name))

    def change(self, name: str) -> float:
        """Change of a gauge; what it held when the frontend restarted is not taken off."""
        return sum(self._change(series) for series in self._good(name))

    def last(self, name: str) -> float:
        """Last value of a gauge, over all label values that the last scrape had."""
        return sum(
            series.values[-1]
            for series in self._good(name)
            if series.times_s[-1] > self.last_s - self.scrape_s / 2
        )

    def started(self) -> float:
        """Requests that arrived: counted, or rebuilt from those that ended and those inside.

        ``inflight_requests`` includes the queued ones, from arrival to the last token.
        """
        if self._good(queries.STARTED):
            return self.increase(queries.STARTED)
        inside = self.change(queries.IN_FLIGHT)
        return max(self.increase(queries.COMPLETED) + inside, 0.0)

    def started_before(self) -> float:
        """Requests that had arrived when it was first scraped."""
        is_counted = self._good(queries.STARTED)
        names = (queries.STARTED,) if is_counted else (queries.COMPLETED, queries.IN_FLIGHT)
        return sum(
            series.values[0]
            for name in names
            for series in self._good(name)
            if not self._is_newborn(series)
        )

    def is_broken(self, name: str) -> bool:
        """Whether samples at the window's edges are no numbers, so that growth would be missed."""
        slack_s = self.scrape_s / 2
        return any(
            not series.times_s
            or series.times_s[0] > max(series.since_s, self.first_s) + slack_s
            or series.times_s[-1] < min(series.until_s, self.last_s) - slack_s
            for series in self.series.get(name, ())
        )

    def finishes_uncounted(self) -> bool:
        """Whether requests finish while the counters of the load do not move.

        A counter that is missing or stuck would otherwise look like silence.
        """
        if self.increase(queries.STARTED) or self.increase(queries.COMPLETED):
            return False
        # A request that is inside may show its first tokens; only its end has a duration.
        inside = self.last(queries.IN_FLIGHT)
        shown = (queries.DURATION,) if inside else queries.HISTOGRAMS
        return any(self.increase(f"{name}_count") > 0.5 for name in shown)

    def _good(self, name: str) -> list[Series]:
        return [series for series in self.series.get(name, ()) if series.times_s]

    def _growth(self, series: Series) -> float:
        born = series.values[0] if self._is_newborn(series) else 0.0
        steps = pairwise(series.values)
        return born + sum(now - before if now >= before else now for before, now in steps)

    def _change(self, series: Series) -> float:
        held = 0.0 if self._is_newborn(series) else series.values[0]
        lost = sum(
            before
            for (before_s, before), (now_s, _) in pairwise(
                zip(series.times_s, series.values, strict=True)
            )
            if any(before_s < restart_s <= now_s for restart_s in self.restarts_s)
        )
        return series.values[-1] + lost - held

    def _is_newborn(self, series: Series) -> bool:
        return series.since_s > self.first_s + self.scrape_s / 2


def frontends_of(series: Iterable[Series]) -> list[Frontend]:
    """Return the frontends that these series are of; one without any number is left out."""
    by_pod: dict[str, dict[str, list[Series]]] = defaultdict(lambda: defaultdict(list))
    for one in series:
        by_pod[one.pod][one.name].append(one)
    made = (
        _frontend(_from_good({name: tuple(found) for name, found in own.items()}))
        for own in by_pod.values()
    )
    return [pod for pod in made if pod is not None]


def _from_good(series: Mapping[str, tuple[Series, ...]]) -> Mapping[str, tuple[Series, ...]]:
    """Leave the time out in which a counter of the load was no number yet: it is not covered."""
    since_s = max(
        (
            one.times_s[0]
            for name in COUNTS_LOAD
            for one in series.get(name, ())
            if one.times_s and one.times_s[0] > one.since_s
        ),
        default=-math.inf,
    )
    if since_s == -math.inf:
        return series
    return {name: tuple(_since(one, since_s) for one in found) for name, found in series.items()}


def _since(series: Series, since_s: float) -> Series:
    first = bisect_left(series.times_s, since_s)
    return replace(
        series,
        since_s=max(series.since_s, since_s),
        times_s=series.times_s[first:],
        values=series.values[first:],
    )


def _frontend(series: Mapping[str, tuple[Series, ...]]) -> Frontend | None:
    """Time a pod by the series that was there longest: it shows each scrape that succeeded.

    None where not one sample is a number.
    """
    every = [one for found in series.values() for one in found]
    longest = max(every, key=lambda one: len(one.times_s))
    if not longest.times_s:
        return None
    gaps = [after - before for before, after in pairwise(longest.times_s)]
    return Frontend(
        series=series,
        first_s=longest.times_s[0],
        last_s=longest.times_s[-1],
        scrape_s=median(gaps) if gaps else 0.0,
        restarts_s=_restarts(series.get(queries.COMPLETED, ())),
    )


def _restarts(counters: Iterable[Series]) -> tuple[float, ...]:
    """Return when a counter began anew, which it does with its process only."""
    return tuple(
        sorted(
            {
                now_s
                for one in counters
                for (_, before), (now_s, now) in pairwise(zip(one.times_s, one.values, strict=True))
                if now < before
            }
        )
    )


def is_live(pod: Frontend, at_s: float) -> bool:
    """Whether the pod's last scrape is recent; a pod scraped once shows its rhythm to nobody."""
    return at_s - pod.last_s <= STALE_AFTER_SCRAPES * (pod.scrape_s or USUAL_SCRAPE_S)
