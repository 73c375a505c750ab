"""From samples to load and latencies of one deployment.

Counters are added up per frontend pod: a value that falls is a restart and counts from zero; a
series that appears on a pod which was already scraped is a first request and counts from zero
too; a pod that appears or goes counts for the time that it was seen. Means are sums over all pods
divided by counts over all pods, so a busy frontend weighs more than an idle one.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from dgdr_planner.core import queries
from dgdr_planner.core.observation import Idle, LoadSeen, Metric, Unknown, Value
from dgdr_planner.core.snapshot import GraphKey, NoSnapshot, Series, Snapshot

# A scrape may be late or fail once; twice in a row is a frontend that we do not see.
STALE_AFTER_SCRAPES = 3.0
# A rate from less than this share of the window says more about chance than about load.
LEAST_COVERAGE = 1 / 3
SHOWN_NAMES = 5
MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class _Pod:
    """One frontend: its series by metric, and when it was scraped first and last."""

    series: Mapping[str, tuple[Series, ...]]
    first_s: float
    last_s: float
    scrape_s: float

    @property
    def covered_s(self) -> float:
        return self.last_s - self.first_s

    def increase(self, name: str) -> float:
        """Growth of a counter, over all label values of this pod."""
        return sum(self._growth(series) for series in self.series.get(name, ()))

    def change(self, name: str) -> float:
        """Difference of a gauge between the last and the first scrape."""
        return sum(
            series.values[-1] - (0.0 if self._is_newborn(series) else series.values[0])
            for series in self.series.get(name, ())
        )

    def last(self, name: str) -> float:
        """Last value of a gauge, over all label values."""
        return sum(series.values[-1] for series in self.series.get(name, ()))

    def started(self) -> float:
        """Requests that arrived: counted, or rebuilt from those that ended and those inside.

        ``inflight_requests`` includes the queued ones, from arrival to the last token.
        """
        if queries.STARTED in self.series:
            return self.increase(queries.STARTED)
        inside = self.change(queries.IN_FLIGHT)
        return max(self.increase(queries.COMPLETED) + inside, 0.0)

    def _growth(self, series: Series) -> float:
        born = series.values[0] if self._is_newborn(series) else 0.0
        steps = pairwise(series.values)
        return born + sum(now - before if now >= before else now for before, now in steps)

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
    return LoadSeen(
        rate_per_s=rate,
        isl=_mean(pods, queries.ISL, rate),
        osl=_mean(pods, queries.OSL, rate),
        ttft_ms=_mean(pods, queries.TTFT, rate, MS_PER_S),
        itl_ms=_mean(pods, queries.ITL, rate, MS_PER_S),
        duration_s=_mean(pods, queries.DURATION, rate),
        window_s=window_s,
        frontends=len(live),
    )


def _pods(series: Iterable[Series]) -> list[_Pod]:
    by_pod: dict[str, dict[str, list[Series]]] = defaultdict(lambda: defaultdict(list))
    for one in series:
        by_pod[one.pod][one.name].append(one)
    return [_pod({name: tuple(found) for name, found in own.items()}) for own in by_pod.values()]


def _pod(series: Mapping[str, tuple[Series, ...]]) -> _Pod:
    """Time a pod by the series that was there longest: it shows each scrape that succeeded."""
    longest = max((one for found in series.values() for one in found), key=lambda s: len(s.times_s))
    gaps = [after - before for before, after in pairwise(longest.times_s)]
    return _Pod(series, longest.times_s[0], longest.times_s[-1], median(gaps) if gaps else 0.0)


def _is_live(pod: _Pod, at_s: float) -> bool:
    """Whether the pod's last scrape is recent; a pod scraped once shows its rhythm to nobody."""
    return at_s - pod.last_s <= STALE_AFTER_SCRAPES * max(pod.scrape_s, 5.0)


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
    return None


def _no_series(snapshot: Snapshot, graph: GraphKey, model: str | None) -> Unknown:
    near = sorted(key.dynamo_namespace for key in snapshot.graphs if key[0] == graph.namespace)
    far = sorted({key.namespace for key in snapshot.graphs})
    seen = f"graphs {_some(near)}" if near else f"namespaces {_some(far)}"
    what = f"model {model} in namespace {graph.namespace}" if model else graph.namespace
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
        f"No series for model {model} in namespace {graph.namespace}; seen: {_some(sorted(seen))}"
    )
    return Unknown("NoSeries", cause)


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN_NAMES
    tail = f" and {more} more" if more > 0 else ""
    return (", ".join(names[:SHOWN_NAMES]) or "none") + tail


def _rate(pods: list[_Pod], live: list[_Pod]) -> Metric:
    covered_s = max(pod.covered_s for pod in live)
    rate_per_s = 0.0
    for pod in pods:
        # What a pod that has gone did is spread over the time in which the others were seen.
        seen_s = pod.covered_s if pod in live else covered_s
        rate_per_s += pod.started() / seen_s if seen_s > 0 else 0.0
    inside = sum(pod.last(queries.IN_FLIGHT) for pod in live)
    ended = sum(pod.increase(queries.COMPLETED) for pod in pods)
    return Idle() if rate_per_s == 0 and inside == 0 and ended == 0 else Value(rate_per_s)


def _mean(pods: list[_Pod], name: str, rate: Metric, scale: float = 1.0) -> Metric:
    count = sum(pod.increase(f"{name}_count") for pod in pods)
    # Counts are whole: what is left below one is rounding of large sums.
    if count > 0.5:
        return Value(scale * sum(pod.increase(f"{name}_sum") for pod in pods) / count)
    if isinstance(rate, Idle):
        return rate
    return Unknown("NothingFinished", "no request has finished in the window")
