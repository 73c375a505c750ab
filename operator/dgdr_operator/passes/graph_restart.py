"""How the workloads of a graph stand, and which of them get new pods because a user asks for it."""

from dataclasses import replace
from datetime import datetime

from dgdr_api.graph import Graph
from dgdr_api.models.dgd_v1beta1 import RestartStatus
from dgdr_api.names import Label
from dgdr_api.reading import CodecError
from dgdr_kube.kinds import LEADER_WORKER_SET
from dgdr_kube.ports import Manifest, Manifests
from dgdr_operator.core.graph_status import is_ready
from dgdr_operator.core.observed_workloads import workload_seen
from dgdr_operator.core.restart import Plan, Standing, have_come, id_of, planned, restart_of
from dgdr_operator.core.workload import workload_name
from dgdr_operator.core.workloads import Problem
from dgdr_operator.passes.graph_children import Children


def plan_restart(
    graph: Graph, there: dict[str, Standing], old: RestartStatus | None, was_seen: bool
) -> tuple[Plan, tuple[Problem, ...]]:
    """Plan the restart; one that cannot be read leaves ids as they are, and holds up nothing."""
    try:
        asked = restart_of(graph, old)
    except CodecError as exc:
        unread = Problem(component="", message=str(exc))
        return replace(planned(None, there, old), status=old), (unread,)
    return planned(asked, there, old, was_seen=was_seen), ()


def standings(graph: Graph, there: Children, pods: Manifests, now: datetime) -> dict[str, Standing]:
    """Return how the workload of each component stands, of those that have one.

    ``pods`` are those of groups, whose own report may be of earlier ones.
    """
    live = {m["metadata"]["name"]: m for m in there.workloads()}
    found = ((c, live.get(workload_name(graph, c))) for c in graph.components)
    return {
        component.name: _standing(workload, of_component(pods, component.name), now)
        for component, workload in found
        if workload is not None
    }


def _standing(workload: Manifest, pods: list[Manifest], now: datetime) -> Standing:
    is_up = is_ready(workload_seen(workload, now))
    has_come = workload["kind"] != LEADER_WORKER_SET.kind or have_come(workload, pods)
    return Standing(id=id_of(workload), ready=is_up and has_come)


def of_component(pods: Manifests, name: str) -> Manifests:
    """Return the pods of one component."""
    label = Label.COMPONENT
    return [p for p in pods if (p["metadata"].get("labels") or {}).get(label) == name]
