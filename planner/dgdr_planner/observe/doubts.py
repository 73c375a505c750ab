"""Why samples cannot be trusted to show all of the load: missing, old, too few, or nonsense."""

from dgdr_planner.observe import queries
from dgdr_planner.observe.frontends import COUNTS_LOAD, Frontend
from dgdr_planner.observe.observation import LoadSeen, TargetSeen
from dgdr_planner.observe.snapshot import GraphKey, Snapshot
from dgdr_planner.observe.spans import Covered
from dgdr_planner.observe.value import Idle, Unknown

# A rate from less than this share of the window says more about chance than about load.
LEAST_COVERAGE = 1 / 3
SHOWN_NAMES = 5
SHOWN_CHARS = 100
# No frontend serves more, so a counter that says so does not count requests.
MOST_PER_S = 1e5
# Samples from further ahead than a slow scrape carry another clock's time.
MOST_AHEAD_S = 30.0


def doubt_about(
    snapshot: Snapshot,
    graph: GraphKey,
    pods: list[Frontend],
    live: list[Frontend],
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
    covered_s = Covered.by(pods, live, frontends).seconds
    if covered_s < LEAST_COVERAGE * snapshot.window_s:
        cause = (
            f"samples cover {covered_s:.0f} s of the last {snapshot.window_s:.0f} s; if this"
            " stays, scrape more often or lengthen spec.interval"
        )
        return Unknown("TooFewSamples", cause)
    return _nonsense(pods)


def _nonsense(pods: list[Frontend]) -> Unknown | None:
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


def _name(pod: Frontend) -> str:
    return next(one.pod for found in pod.series.values() for one in found)


def _no_series(snapshot: Snapshot, graph: GraphKey, model: str | None) -> Unknown:
    near = sorted(key.dynamo_namespace for key in snapshot.graphs if key[0] == graph.namespace)
    far = sorted({key.namespace for key in snapshot.graphs})
    seen = f"graphs {_some(near)}" if near else f"namespaces {_some(far)}"
    what = f"model {_shown(model)} in namespace {graph.namespace}" if model else graph.namespace
    where = f"(dynamo_namespace {graph.dynamo_namespace})"
    return Unknown("NoSeries", f"No series for {what} {where}; seen: {seen}")


def missing_model(live: list[Frontend], graph: GraphKey, model: str | None) -> Unknown | None:
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


def without_workers(seen: LoadSeen, target: TargetSeen) -> LoadSeen:
    """Return the load that may be decided by: silence is idleness only while there are workers.

    Without one the model leaves the frontends. They refuse what is asked, and count nothing.
    """
    none = [str(role.role) for role in target.roles if role.ready == 0]
    if not none or not isinstance(seen.rate_per_s, Idle):
        return seen
    cause = f"no {' and no '.join(none)} replica is ready: frontends refuse requests uncounted"
    return LoadSeen.unknown("NoWorkerReady", cause, seen.window_s)


def _some(names: list[str]) -> str:
    more = len(names) - SHOWN_NAMES
    tail = f" and {more} more" if more > 0 else ""
    return (", ".join(_shown(name) for name in names[:SHOWN_NAMES]) or "none") + tail


def _shown(name: str) -> str:
    """Return a name that somebody else chose, short and without control characters."""
    return "".join(c if c.isprintable() else "?" for c in name)[:SHOWN_CHARS]
