"""Status of a DynamoGraphDeployment, in upstream's words."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from dgdr_api.conditions import Progress, with_progress
from dgdr_api.fields_without_effect import fields_without_effect, with_fields
from dgdr_api.gpus import Claims, Uncountable, replica_gpus
from dgdr_api.graph import Component, Graph
from dgdr_api.models.base import Conditions
from dgdr_api.models.dgd_v1beta1 import ComponentStatus, DgdState, DGDStatus, RestartStatus
from dgdr_operator.core.lacks import Lack, with_lacks
from dgdr_operator.core.observed_workloads import PodSeen, WorkloadSeen
from dgdr_operator.core.served_model import served_model_name
from dgdr_operator.core.upgrades import NOTHING_BEHIND, Upgrade, with_upgrade
from dgdr_operator.core.workload import is_group, workload_name
from dgdr_operator.core.workload_labels import runtime_namespace
from dgdr_operator.core.workloads import Problem


class Reason(StrEnum):
    """Why a graph is, or is not, ready; those that matter more come later."""

    ALL_READY = "all_resources_are_ready"
    NOT_READY = "some_resources_are_not_ready"
    UPDATING = "updating"
    NO_CAPACITY = "insufficient_capacity"
    PODS_NOT_READY = "pods_not_ready"
    """Pods fail: waiting alone does not help."""
    CANNOT_RECONCILE = "failed_to_reconcile_the_resources"
    """What the graph asks for cannot be made."""


_WEIGHT = {reason: weight for weight, reason in enumerate(Reason)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is to say about one component, or about the whole graph.

    ``trouble`` is what its ``pods`` have: those of several components mostly have the same.
    """

    reason: Reason
    message: str
    trouble: str = ""
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphSeen:
    """A graph and what the cluster made of it."""

    graph: Graph
    generation: int
    workloads: tuple[WorkloadSeen, ...] = ()
    pods: tuple[PodSeen, ...] = ()
    problems: tuple[Problem, ...] = ()
    lacks: tuple[Lack, ...] = ()
    upgrade: Upgrade = NOTHING_BEHIND
    claims: Claims = field(default_factory=dict)
    restart: RestartStatus | None = None

    def workload(self, component: Component) -> WorkloadSeen | None:
        """Return the component's Deployment or LeaderWorkerSet, when it exists."""
        name = workload_name(self.graph, component)
        return next((d for d in self.workloads if d.name == name), None)


def status_after(seen: GraphSeen, old: DGDStatus, now: datetime) -> DGDStatus:
    """Return the status; equal to ``old`` when nothing has changed."""
    findings = tuple(findings_of(seen))
    worst = max((f.reason for f in findings), key=_WEIGHT.__getitem__, default=Reason.ALL_READY)
    message = _told(findings) or "All resources are ready"
    conditions = with_progress(
        old.conditions, _progress(worst), worst, message, now, seen.generation
    )
    conditions = with_lacks(conditions, seen.lacks, now, seen.generation)
    fields = fields_without_effect(seen.graph)
    conditions = with_fields(conditions, fields, now, seen.generation)
    return DGDStatus(
        state=_state(seen, worst),
        conditions=with_upgrade(conditions, seen.upgrade, now, seen.generation),
        components={c.name: _component_status(seen, c) for c in seen.graph.components},
        observed_generation=seen.generation,
        last_handled_upgrade_at=seen.upgrade.handled_at,
        restart=seen.restart,
    )


def failed_status(message: str, generation: int, old: DGDStatus, now: datetime) -> DGDStatus:
    """Return the status of a graph that cannot be read at all; its components stay as they are."""
    return DGDStatus(
        state=DgdState.FAILED,
        conditions=_unreconciled(old, Progress.STUCK, message, generation, now),
        components=old.components,
        observed_generation=generation,
        last_handled_upgrade_at=old.last_handled_upgrade_at,
        restart=old.restart,
    )


def waiting_status(message: str, generation: int, old: DGDStatus, now: datetime) -> DGDStatus:
    """Return the status of a graph that gets no pods yet; those that it has stay."""
    conditions = with_progress(
        old.conditions, Progress.UNDER_WAY, Reason.NO_CAPACITY, message, now, generation
    )
    return DGDStatus(
        state=DgdState.PENDING,
        conditions=conditions,
        components=old.components,
        observed_generation=generation,
        last_handled_upgrade_at=old.last_handled_upgrade_at,
        restart=old.restart,
    )


def unreconciled_status(message: str, generation: int, old: DGDStatus, now: datetime) -> DGDStatus:
    """Return the status after a pass that failed half-way: what runs, runs on."""
    return DGDStatus(
        state=old.state or DgdState.FAILED,
        conditions=_unreconciled(old, Progress.UNDER_WAY, message, generation, now),
        components=old.components,
        observed_generation=old.observed_generation or generation,
        last_handled_upgrade_at=old.last_handled_upgrade_at,
        restart=old.restart,
    )


def _unreconciled(
    old: DGDStatus, progress: Progress, message: str, generation: int, now: datetime
) -> Conditions:
    return with_progress(
        old.conditions, progress, Reason.CANNOT_RECONCILE, message, now, generation
    )


def _told(findings: Iterable[Finding]) -> str:
    """Say all that was found; what pods of several components have is said once, behind them."""
    by_trouble: dict[str, list[Finding]] = {}
    for finding in findings:
        by_trouble.setdefault(finding.trouble, []).append(finding)
    return "; ".join(text for trouble, of in by_trouble.items() for text in _texts(trouble, of))


def _texts(trouble: str, findings: Sequence[Finding]) -> Iterator[str]:
    yield from (finding.message for finding in findings)
    pods = [pod for finding in findings for pod in finding.pods]
    if pods:
        others = f" (and {len(pods) - 1} more)" if len(pods) > 1 else ""
        yield f"pod {pods[0]} {trouble}{others}"
    elif trouble:
        yield trouble


def _progress(worst: Reason) -> Progress:
    match worst:
        case Reason.ALL_READY:
            return Progress.DONE
        case Reason.CANNOT_RECONCILE:
            return Progress.STUCK
        case _:
            return Progress.UNDER_WAY


def findings_of(seen: GraphSeen) -> Iterable[Finding]:
    """Return what stands against being ready, in the order of the manifest."""
    for problem in seen.problems:
        yield Finding(reason=Reason.CANNOT_RECONCILE, message=str(problem))
    impossible = {problem.component for problem in seen.problems}
    for component in seen.graph.components:
        if component.name in impossible:
            continue
        finding = _finding(seen, component)
        if finding is not None:
            yield finding


def is_ready(deployment: WorkloadSeen) -> bool:
    """Whether exactly the wanted pods, all of the newest template, are ready.

    ``replicas`` leaves out pods that are being deleted, so a scale-down is ready at once; pods of
    an older template count in it, so a rolling update is not, even while the old ones serve.
    """
    return (
        deployment.observed_generation == deployment.generation
        and deployment.wanted
        == deployment.replicas
        == deployment.updated
        == deployment.ready
        == deployment.available
    )


def _finding(seen: GraphSeen, component: Component) -> Finding | None:
    deployment = seen.workload(component)
    if deployment is None:
        kind = "LeaderWorkerSet" if is_group(component) else "Deployment"
        return Finding(reason=Reason.NOT_READY, message=f"{component.name}: no {kind} yet")
    if is_ready(deployment):
        return None
    pods = [pod for pod in seen.pods if pod.component == component.name]
    count = f"{component.name}: {_count(component, deployment)}"
    if why := _of_pods(pods, count) or _of_failure(deployment, count):
        return why
    return Finding(reason=_waiting_reason(deployment), message=count)


def _count(component: Component, workload: WorkloadSeen) -> str:
    what = f"groups of {component.nodes} pods" if is_group(component) else "pods"
    count = f"{min(workload.ready, workload.wanted)} of {workload.wanted} {what}"
    if workload.has_old_pods:
        return f"{count} are ready, {workload.updated} updated"
    whole = ", each of which starts again as a whole," if is_group(component) else ""
    return f"{count}{whole} are ready"


def _of_pods(pods: Sequence[PodSeen], count: str) -> Finding | None:
    """Say what is wrong with one of the pods: the others mostly say the same."""
    troubled = tuple(pod.name for pod in pods if pod.troubles)
    if troubled:
        trouble = next(str(pod.troubles[0]) for pod in pods if pod.troubles)
        return Finding(reason=Reason.PODS_NOT_READY, message=count, trouble=trouble, pods=troubled)
    homeless = [pod for pod in pods if pod.unschedulable is not None]
    if not homeless:
        return None
    return Finding(
        reason=Reason.NO_CAPACITY,
        message=count,
        trouble=f"has no node: {homeless[0].unschedulable}",
        pods=tuple(pod.name for pod in homeless),
    )


def _of_failure(deployment: WorkloadSeen, count: str) -> Finding | None:
    if deployment.failure is None:
        return None
    reason = _failure_reason(deployment)
    return Finding(reason=reason, message=count, trouble=deployment.failure)


def _failure_reason(deployment: WorkloadSeen) -> Reason:
    over_quota = "exceeded quota" in (deployment.failure or "")
    return Reason.NO_CAPACITY if over_quota else Reason.PODS_NOT_READY


def _waiting_reason(deployment: WorkloadSeen) -> Reason:
    behind = deployment.observed_generation not in (None, deployment.generation)
    return Reason.UPDATING if behind or deployment.has_old_pods else Reason.NOT_READY


def _state(seen: GraphSeen, worst: Reason) -> DgdState:
    if worst is Reason.CANNOT_RECONCILE:
        return DgdState.FAILED
    if worst is Reason.ALL_READY:
        return DgdState.SUCCESSFUL
    untouched = all(d.observed_generation is None for d in seen.workloads)
    return DgdState.INITIALIZING if untouched else DgdState.PENDING


def _component_status(seen: GraphSeen, component: Component) -> ComponentStatus:
    counted = replica_gpus(component, seen.claims)
    gpus = None if isinstance(counted, Uncountable) else counted
    shape = ComponentStatus(
        gpus_per_engine=gpus,
        gpus_per_replica=gpus,
        served_model_name=served_model_name(seen.graph, component),
        runtime_namespace=runtime_namespace(seen.graph, component),
        runtime_component_name=_runtime_name(seen.graph, component),
    )
    deployment = seen.workload(component)
    if deployment is None:
        return shape
    return shape.model_copy(
        update={
            "component_kind": deployment.kind,
            "component_name": deployment.name,
            "component_names": (deployment.name,),
            "replicas": deployment.replicas,
            "updated_replicas": deployment.updated,
            "ready_replicas": deployment.ready,
            "available_replicas": None if is_group(component) else deployment.available,
            "scheduled_replicas": _scheduled(seen, component, deployment),
        }
    )


def _runtime_name(graph: Graph, component: Component) -> str | None:
    """Return what Dynamo calls the component: DYN_COMPONENT, where its value is known."""
    given = [e for e in (*graph.env, *component.env) if e["name"] == "DYN_COMPONENT"]
    if given:
        return given[-1].get("value") or None
    return component.role.value or None


def _scheduled(seen: GraphSeen, component: Component, workload: WorkloadSeen) -> int:
    """Count replicas that have nodes; nobody has looked at the pods where all are ready."""
    if is_ready(workload):
        return workload.replicas
    pods = sum(pod.scheduled for pod in seen.pods if pod.component == component.name)
    return pods // component.nodes
