"""From samples to load and latencies of one deployment.

Means are sums over all frontends divided by counts over all frontends, so a busy one weighs more
than an idle one.
"""

from dataclasses import replace

from dgdr_planner.observe import queries
from dgdr_planner.observe.doubts import doubt_about, missing_model
from dgdr_planner.observe.frontends import Frontend, frontends_of, is_live
from dgdr_planner.observe.histogram import Histogram
from dgdr_planner.observe.observation import QUANTILES, SHARES, LoadSeen
from dgdr_planner.observe.snapshot import GraphKey, NoSnapshot, Snapshot
from dgdr_planner.observe.spans import Covered
from dgdr_planner.observe.value import Idle, Metric, Unknown, Value

MS_PER_S = 1000.0
NOTHING_FINISHED = Unknown("NothingFinished", "no request has finished in the window")
# Means beyond these are no tokens and no seconds of anything that was served.
MOST_TOKENS = 1e8
MOST_SECONDS = 1e6


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
    pods = frontends_of(snapshot.graphs.get(graph, ()))
    live = [pod for pod in pods if is_live(pod, snapshot.at_s)]
    doubt = doubt_about(snapshot, graph, pods, live, model, frontends)
    if doubt is not None:
        return LoadSeen.unknown(doubt.reason, doubt.cause, window_s)
    covered = Covered.by(pods, live, frontends)
    rate = _rate(pods, live, covered)
    if isinstance(rate, Idle):
        missing = missing_model(live, graph, model)
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
        completed_per_s=_completed(covered, rate),
        queued=queued(live, rate),
        in_flight=rate if isinstance(rate, Idle) else Value(in_flight(live)),
        cached_share=_cached_share(pods, rate),
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
    ttft, itl = own.get(queries.TTFT), own.get(queries.ITL)
    ttft_ms, itl_ms = ttft and ttft.scaled(MS_PER_S), itl and itl.scaled(MS_PER_S)
    nothing = seen.rate_per_s if isinstance(seen.rate_per_s, Idle) else NOTHING_FINISHED
    return replace(
        seen,
        quantiles={
            f"{latency}_{name}": Value(held.quantile(share)) if held else nothing
            for latency, held in (("ttft", ttft_ms), ("itl", itl_ms))
            for name, share in SHARES.items()
        },
        isl_quantiles=_shape(own.get(queries.ISL), seen.isl),
        osl_quantiles=_shape(own.get(queries.OSL), seen.osl),
        ttft_histogram_ms=ttft_ms,
        itl_histogram_ms=itl_ms,
    )


def _shape(lengths: Histogram | None, mean: Metric) -> tuple[tuple[float, float], ...] | None:
    """Return (share, length) pairs with this mean; None where either is not known."""
    if lengths is None or not isinstance(mean, Value) or mean.number <= 0:
        return None
    return lengths.points(mean.number)


def _rate(pods: list[Frontend], live: list[Frontend], covered: Covered) -> Metric:
    rate_per_s = covered.per_s(Frontend.started)
    inside = in_flight(live)
    ended = sum(pod.increase(queries.COMPLETED) for pod in pods)
    return Idle() if rate_per_s == inside == ended == 0 else Value(rate_per_s)


def _completed(covered: Covered, rate: Metric) -> Metric:
    if isinstance(rate, Idle):
        return rate
    return Value(covered.per_s(lambda pod: pod.increase(queries.COMPLETED)))


def in_flight(live: list[Frontend]) -> float:
    """Return the requests that are inside now, waiting ones included."""
    return sum(pod.last(queries.IN_FLIGHT) for pod in live)


def queued(live: list[Frontend], rate: Metric) -> Metric:
    """Return the requests that wait for their first token now."""
    if isinstance(rate, Idle):
        return rate
    if not any(queries.QUEUED in pod.series for pod in live):
        return Unknown("NotCounted", "the frontends do not say how many requests wait")
    return Value(sum(pod.last(queries.QUEUED) for pod in live))


def _cached_share(pods: list[Frontend], rate: Metric) -> Metric:
    """Return the share of the prompts' tokens whose KV cache was there, where frontends say it."""
    if isinstance(rate, Idle):
        return rate
    prompts = f"{queries.ISL}_sum"
    # A pod that nobody asked anything has no such counter yet.
    asked = [pod for pod in pods if pod.increase(prompts) > 0]
    if not asked:
        return NOTHING_FINISHED
    if not all(queries.CACHED in pod.series for pod in asked):
        return Unknown("NotCounted", "the frontends do not say how many tokens were cached")
    cached = sum(pod.increase(queries.CACHED) for pod in asked)
    return Value(min(cached / sum(pod.increase(prompts) for pod in asked), 1.0))


def _mean(pods: list[Frontend], name: str, rate: Metric, most: float, scale: float = 1.0) -> Metric:
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
