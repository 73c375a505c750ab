"""From samples to one fast look."""

from dgdr_planner.observe.doubts import doubt_about
from dgdr_planner.observe.frontends import Frontend, frontends_of, is_live
from dgdr_planner.observe.load import in_flight, queued
from dgdr_planner.observe.looks import Look
from dgdr_planner.observe.snapshot import GraphKey, NoSnapshot, Snapshot
from dgdr_planner.observe.spans import Covered
from dgdr_planner.observe.value import Value, number


def glance(
    snapshot: Snapshot | NoSnapshot,
    graph: GraphKey,
    at_s: float,
    model: str | None = None,
    frontends: int | None = None,
) -> Look | None:
    """Return what the samples say of the last seconds; None where they cannot be trusted."""
    if isinstance(snapshot, NoSnapshot):
        return None
    pods = frontends_of(snapshot.graphs.get(graph, ()))
    live = [pod for pod in pods if is_live(pod, snapshot.at_s)]
    if doubt_about(snapshot, graph, pods, live, model, frontends) is not None:
        return None
    covered = Covered.by(pods, live, frontends)
    if covered.seconds <= 0.0:
        return None
    rate_per_s = covered.per_s(Frontend.started)
    return Look(
        at_s=at_s,
        window_s=covered.seconds,
        rate_per_s=rate_per_s,
        queued=number(queued(live, Value(rate_per_s))),
        in_flight=in_flight(live),
        span_s=snapshot.window_s,
    )
