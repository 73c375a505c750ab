"""From samples to load and latencies of one deployment.

Counters are added up per frontend pod: a value that falls is a restart and counts from zero; a
series that appears on a pod which was already scraped is a first request and counts from zero
too; a pod that appears or goes counts for the time that it was seen. Means are sums over all pods
divided by counts over all pods, so a busy frontend weighs more than an idle one.
"""

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from dgdr_planner.core import queries
from dgdr_planner.core.observation import (
    QUANTILES,
    SHARES,
    Idle,
    LoadSeen,
    Metric,
    Unknown,
    Value,
)
from dgdr_planner.core.snapshot import GraphKey, NoSnapshot, Series, Snapshot

# A scrape may be late or fail once; twice in a row is a frontend that we do not see.
STALE_AFTER_SCRAPES = 3.0
USUAL_SCRAPE_S = 5.0
# A rate from less than this share of the window says more about chance than about load.
LEAST_COVERAGE = 1 / 3
SHOWN_NAMES = 5
SHOWN_CHARS = 100
MS_PER_S = 1000.0
NOTHING_FINISHED = Unknown("NothingFinished", "no request has finished in the window")


# No frontend serves more, so a counter that says so does not count requests.
MOST_PER_S = 1e5
# Means beyond these are no tokens and no seconds of anything that was served.
MOST_TOKENS = 1e8
MOST_SECONDS = 1e6
# Samples from further ahead than a slow scrape carry another clock's time.
MOST_AHEAD_S = 30.0
COUNTS_LOAD = (queries.STARTED, queries.COMPLETED, queries.IN_FLIGHT)


@dataclass(frozen=True, slots=True)
class _Pod:
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


def measure(
    snapshot: Snapshot | NoSnapshot,
    graph: GraphKey,
    window_s: float,
    model: str | None = None,
    frontends: int | None = None,
) -> LoadSeen:
    """Return load and latencies of one deployment.

    ``model`` is the name that its workers register, ``frontends`` how many of its frontends are
    ready; None where nobody knows.
    """
    if isinstance(snapshot, NoSnapshot):
        return LoadSeen.unknown(snapshot.reason, snapshot.cause, window_s)
    pods = _pods(snapshot.graphs.get(graph, ()))
    live = [pod for pod in pods if _is_live(pod, snapshot.at_s)]
    doubt = _doubt(snapshot, graph, pods, live, model, frontends)
    if doubt is not None:
        return LoadSeen.unknown(doubt.reason, doubt.cause, window_s)
    rate = _rate(pods, live)
    if isinstance(rate, Idle):
        missing = _missing_model(live, graph, model)
        if missing is not None:
            return LoadSeen.unknown(missing.reason, missing.cause, window_s)
    isl = _mean(pods, queries.ISL, rate, MOST_TOKENS)
    seen = LoadSeen(
        rate_per_s=rate,
        isl=isl,
        osl=_mean(pods, queries.OSL, rate, MOST_TOKENS),
        ttft_ms=_mean(pods, queries.TTFT, rate, MOST_SECONDS, MS_PER_S),
        itl_ms=_mean(pods, queries.ITL, rate, MOST_SECONDS, MS_PER_S),
        duration_s=_mean(pods, queries.DURATION, rate, MOST_SECONDS),
        window_s=window_s,
        frontends=len(live),
        completed_per_s=_per_s(pods, live, lambda pod: pod.increase(queries.COMPLETED), rate),
        queued=_queued(live, rate),
        requests=sum(pod.increase(queries.COMPLETED) for pod in pods),
    )
    return _with_distributions(seen, snapshot, graph)


def _with_distributions(seen: LoadSeen, snapshot: Snapshot, graph: GraphKey) -> LoadSeen:
    """Add what the histograms say; without them percentiles are idle or unknown."""
    found = snapshot.histograms
    if isinstance(found, NoSnapshot):
        nothing: Metric = Unknown(found.reason, found.cause)
        return replace(seen, quantiles=dict.fromkeys(QUANTILES, nothing))
    own = found.get(graph, {})
    ttft, itl, isl = own.get(queries.TTFT), own.get(queries.ITL), own.get(queries.ISL)
    ttft_ms, itl_ms = ttft and ttft.scaled(MS_PER_S), itl and itl.scaled(MS_PER_S)
    nothing = seen.rate_per_s if isinstance(seen.rate_per_s, Idle) else NOTHING_FINISHED
    return replace(
        seen,
        quantiles={
            f"{latency}_{name}": Value(held.quantile(share)) if held else nothing
            for latency, held in (("ttft", ttft_ms), ("itl", itl_ms))
            for name, share in SHARES.items()
        },
        isl_quantiles=isl.points(seen.isl.number)
        if isl and isinstance(seen.isl, Value) and seen.isl.number > 0
        else None,
        ttft_histogram_ms=ttft_ms,
        itl_histogram_ms=itl_ms,
    )


def _pods(series: Iterable[Series]) -> list[_Pod]:
    by_pod: dict[str, dict[str, list[Series]]] = defaultdict(lambda: defaultdict(list))
    for one in series:
        by_pod[one.pod][one.name].append(one)
    made = (
        _pod(_from_good({name: tuple(found) for name, found in own.items()}))
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


def _pod(series: Mapping[str, tuple[Series, ...]]) -> _Pod | None:
    """Time a pod by the series that was there longest: it shows each scrape that succeeded.

    None where not one sample is a number.
    """
    every = [one for found in series.values() for one in found]
    longest = max(every, key=lambda one: len(one.times_s))
    if not longest.times_s:
        return None
    gaps = [after - before for before, after in pairwise(longest.times_s)]
    return _Pod(
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


def _is_live(pod: _Pod, at_s: float) -> bool:
    """Whether the pod's last scrape is recent; a pod scraped once shows its rhythm to nobody."""
    return at_s - pod.last_s <= STALE_AFTER_SCRAPES * (pod.scrape_s or USUAL_SCRAPE_S)


def _doubt(
    snapshot: Snapshot,
    graph: GraphKey,
    pods: list[_Pod],
    live: list[_Pod],
    model: str | None,
    frontends: int | None,
) -> Unknown | None:
    """Return why the samples cannot be trusted to show all of the load."""
    if not pods:
        return _no_series(snapshot, graph, model)
    if not live:
        age_s = snapshot.at_s - max(pod.last_s for pod in pods)
        cause = f"the last sample of {graph.dynamo_namespace} is {age_s:.0f} s old"
        return Unknown("StaleSamples", cause)
    ahead_s = max(pod.last_s for pod in live) - snapshot.at_s
    if ahead_s > MOST_AHEAD_S:
        cause = f"samples of {graph.dynamo_namespace} are {ahead_s:.0f} s ahead of Prometheus"
        return Unknown("SamplesAhead", f"{cause}; let it stamp them itself (honor_timestamps)")
    if frontends is not None and len(live) < frontends:
        cause = f"{len(live)} of {frontends} ready frontends have fresh samples"
        return Unknown("FrontendsNotScraped", cause)
    covered_s = max(pod.covered_s for pod in live)
    if covered_s < LEAST_COVERAGE * snapshot.window_s:
        cause = (
            f"samples cover {covered_s:.0f} s of the last {snapshot.window_s:.0f} s; if this"
            " stays, scrape more often or lengthen spec.interval"
        )
        return Unknown("TooFewSamples", cause)
    return _nonsense(pods)


def _nonsense(pods: list[_Pod]) -> Unknown | None:
    """Return which counter of the load does not count requests."""
    for pod in pods:
        for name in COUNTS_LOAD:
            if pod.is_broken(name):
                return Unknown("BadSamples", f"{name} of {_shown(_name(pod))} is not a number")
        if pod.finishes_uncounted():
            cause = (
                f"requests finish at {_shown(_name(pod))} that {queries.COMPLETED} does not count"
            )
            return Unknown("BadSamples", cause)
        if pod.started() > MOST_PER_S * max(pod.covered_s, pod.scrape_s, 1.0):
            cause = f"the counters of {_shown(_name(pod))} rose by {pod.started():.3g} requests"
            return Unknown("BadSamples", f"{cause} in {pod.covered_s:.0f} s")
    return None


def _name(pod: _Pod) -> str:
    return next(one.pod for found in pod.series.values() for one in found)


def _no_series(snapshot: Snapshot, graph: GraphKey, model: str | None) -> Unknown:
    near = sorted(key.dynamo_namespace for key in snapshot.graphs if key[0] == graph.namespace)
    far = sorted({key.namespace for key in snapshot.graphs})
    seen = f"graphs {_some(near)}" if near else f"namespaces {_some(far)}"
    what = f"model {_shown(model)} in namespace {graph.namespace}" if model else graph.namespace
    where = f"(dynamo_namespace {graph.dynamo_namespace})"
    return Unknown("NoSeries", f"No series for {what} {where}; seen: {seen}")


def _missing_model(live: list[_Pod], graph: GraphKey, model: str | None) -> Unknown | None:
    """Return why silence is no proof of idleness: the model is not the one that is silent."""
    seen = {
        one.model for pod in live for found in pod.series.values() for one in found if one.model
    }
    if not seen:
        cause = f"the frontends of {graph.dynamo_namespace} serve no model yet"
        return Unknown("NoModel", cause)
    if model is None or model.lower() in {name.lower() for name in seen}:
        return None
    cause = (
        f"No series for model {_shown(model)} in namespace {graph.namespace};"
        f" seen: {_some(sorted(seen))}"
    )
    return Unknown("NoSeries", cause)


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN_NAMES
    tail = f" and {more} more" if more > 0 else ""
    return (", ".join(_shown(name) for name in names[:SHOWN_NAMES]) or "none") + tail


def _shown(name: str) -> str:
    """Return a name that somebody else chose, short and without control characters."""
    return "".join(c if c.isprintable() else "?" for c in name)[:SHOWN_CHARS]


def _rate(pods: list[_Pod], live: list[_Pod]) -> Metric:
    rate = _per_s(pods, live, _Pod.started)
    inside = sum(pod.last(queries.IN_FLIGHT) for pod in live)
    ended = sum(pod.increase(queries.COMPLETED) for pod in pods)
    return Idle() if rate == Value(0.0) and inside == 0 and ended == 0 else rate


def _per_s(
    pods: list[_Pod],
    live: list[_Pod],
    count: Callable[[_Pod], float],
    rate: Metric | None = None,
) -> Metric:
    """Return what all pods count, per second; idle where ``rate`` is."""
    if isinstance(rate, Idle):
        return rate
    covered_s = max(pod.covered_s for pod in live)
    total_per_s = 0.0
    for pod in pods:
        # What a pod that has gone did is spread over the time in which the others were seen.
        seen_s = pod.covered_s if pod in live else covered_s
        total_per_s += count(pod) / seen_s if seen_s > 0 else 0.0
    return Value(total_per_s)


def _queued(live: list[_Pod], rate: Metric) -> Metric:
    if isinstance(rate, Idle):
        return rate
    if not any(queries.QUEUED in pod.series for pod in live):
        return Unknown("NotCounted", "the frontends do not say how many requests wait")
    return Value(sum(pod.last(queries.QUEUED) for pod in live))


def _mean(pods: list[_Pod], name: str, rate: Metric, most: float, scale: float = 1.0) -> Metric:
    parts = f"{name}_sum", f"{name}_count"
    if any(pod.is_broken(part) for pod in pods for part in parts):
        return Unknown("BadSamples", f"{name} is not a number")
    total, count = (sum(pod.increase(part) for pod in pods) for part in parts)
    # Counts are whole: what is left below one is rounding of large sums.
    if count > 0.5:
        mean = total / count
        return (
            Value(scale * mean) if mean <= most else Unknown("BadSamples", f"{name} is too large")
        )
    return rate if isinstance(rate, Idle) else NOTHING_FINISHED
