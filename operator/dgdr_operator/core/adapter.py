"""Scaling adapters: which there must be, and what they say about a graph's replicas."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import ValidationError

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.conditions import Progress, with_progress
from dgdr_api.graph import Component, Graph
from dgdr_api.models.dgdsa import DgdsaStatus, DynamoGraphDeploymentScalingAdapter
from dgdr_api.names import Label, component_name
from dgdr_api.problem import from_validation, summary
from dgdr_api.reading import CodecError
from dgdr_kube.manifests import is_going
from dgdr_operator.core.workload_labels import component_labels

Manifest = dict[str, Any]
Adapter = DynamoGraphDeploymentScalingAdapter


class Reason(StrEnum):
    """Why an adapter is, or is not, what its component has."""

    APPLIED = "Applied"
    INVALID = "InvalidSpec"
    NO_TARGET = "TargetNotFound"
    UNREADABLE_TARGET = "TargetUnreadable"
    NO_COMPONENT = "ComponentNotFound"
    SECOND = "ScaledByAnother"
    UPDATE_FAILED = "UpdateFailed"
    RECONCILE_FAILED = "ReconcileFailed"


# What is not here is tried again.
_PROGRESS = {
    Reason.APPLIED: Progress.DONE,
    Reason.INVALID: Progress.STUCK,
    Reason.UNREADABLE_TARGET: Progress.STUCK,
    Reason.NO_COMPONENT: Progress.STUCK,
    Reason.SECOND: Progress.STUCK,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a pass found about an adapter."""

    reason: Reason = Reason.APPLIED
    message: str = "the component has the replicas of this adapter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The graph that an adapter scales, as it is stored and as it is read."""

    manifest: Manifest
    graph: Graph
    component: Component


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaling:
    """One component whose adapter wants another number than the graph has."""

    component: str
    adapter: str
    before: int
    after: int

    def __str__(self) -> str:
        return f"Scaled {self.component} from {self.before} to {self.after} replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaCopy:
    """What to write into a graph; ``replicas`` is everything that we decide there."""

    replicas: dict[str, int]
    scalings: tuple[Scaling, ...] = ()


def read_adapter(manifest: Manifest) -> Adapter | Verdict:
    """Read an adapter; a verdict says what is wrong with one that cannot be read."""
    try:
        return Adapter.parse(manifest)
    except ValidationError as exc:
        return Verdict(reason=Reason.INVALID, message=summary(from_validation(exc)))


def find_target(dgd: Manifest | None, adapter: Adapter) -> Target | Verdict:
    """Find the component of an adapter in what has the name of its graph."""
    name, wanted = adapter.spec.dgd_ref.name, adapter.spec.dgd_ref.component
    if dgd is None or is_going(dgd):
        text = f"DynamoGraphDeployment {name} is not there; its replicas are set when it comes"
        return Verdict(reason=Reason.NO_TARGET, message=text)
    try:
        graph = decode(dgd)
    except CodecError as exc:
        text = f"{name} cannot be read, so that it keeps its replicas: {exc}"
        return Verdict(reason=Reason.UNREADABLE_TARGET, message=text)
    component = graph.component(wanted)
    if component is None:
        there = ", ".join(component.name for component in graph.components)
        text = f"{name} has no component {wanted!r}; it has {there}"
        return Verdict(reason=Reason.NO_COMPONENT, message=text)
    return Target(manifest=dgd, graph=graph, component=component)


def adapted_components(graph: Graph) -> tuple[Component, ...]:
    """Return the components that ask for an adapter."""
    return tuple(component for component in graph.components if component.scaling_adapter)


def render_adapter(graph: Graph, component: Component, owner: Manifest) -> Manifest:
    """Return a new adapter, which starts with the replicas that the component has."""
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeploymentScalingAdapter",
        "metadata": {
            "name": component_name(graph.name, component.name),
            "namespace": graph.namespace,
            "labels": component_labels(graph, component),
            "ownerReferences": [owner],
        },
        "spec": {
            "replicas": 1 if component.replicas is None else component.replicas,
            "dgdRef": {"name": graph.name, "componentName": component.name},
        },
    }


def speaker(component: Component, adapters: Iterable[Adapter]) -> Adapter | None:
    """Return the adapter that a component follows: of several the last by name."""
    name = component.name.lower()
    of_it = (one for one in adapters if one.spec.dgd_ref.component.lower() == name)
    return max(of_it, key=lambda one: one.metadata.name, default=None)


def second_to(adapter: Adapter, followed: Adapter | None) -> Verdict | None:
    """Return what to say of an adapter whose component follows another one."""
    if followed is None or followed.metadata.name == adapter.metadata.name:
        return None
    component, name = adapter.spec.dgd_ref.component, followed.metadata.name
    text = f"{component} has the replicas of adapter {name}; scale that one, and delete this one"
    return Verdict(reason=Reason.SECOND, message=text)


def decide_copy(graph: Graph, adapters: Iterable[Adapter], ours: frozenset[str]) -> ReplicaCopy:
    """Decide what the adapters make of the graph's replicas.

    Server-side apply takes back what its manager leaves out, so every number that is ours is said
    again: ``ours`` are the components whose replicas we wrote before; one that has lost its
    adapter since keeps its number.
    """
    adapters = tuple(adapters)
    replicas: dict[str, int] = {}
    scalings: list[Scaling] = []
    for component in graph.components:
        now = 1 if component.replicas is None else component.replicas
        adapter = speaker(component, adapters)
        if adapter is None:
            if component.name in ours:
                replicas[component.name] = now
            continue
        wanted = replicas[component.name] = adapter.spec.replicas
        if wanted != now:
            scalings.append(
                Scaling(
                    component=component.name,
                    adapter=adapter.metadata.name,
                    before=now,
                    after=wanted,
                )
            )
    return ReplicaCopy(replicas=replicas, scalings=tuple(scalings))


def render_copy(dgd: Manifest, copy: ReplicaCopy) -> Manifest:
    """Return what is applied to the graph's object.

    With its version, so that two adapters at once cannot take each other's number back, and so
    that a graph that has just been deleted is not made anew from replicas alone.
    """
    metadata = dgd["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion")
    components = [{"name": name, "replicas": n} for name, n in copy.replicas.items()]
    return {
        "apiVersion": dgd["apiVersion"],
        "kind": dgd["kind"],
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"components": components},
    }


def components_written_by(dgd: Manifest, manager: str) -> frozenset[str]:
    """Return the components whose replicas this manager owns."""
    entries = (
        entry.get("fieldsV1", {}).get("f:spec", {}).get("f:components", {})
        for entry in dgd["metadata"].get("managedFields") or ()
        if entry.get("manager") == manager and entry.get("operation") == "Apply"
    )
    return frozenset(
        key.removeprefix('k:{"name":"').removesuffix('"}')
        for fields in entries
        for key, owned in fields.items()
        if "f:replicas" in owned
    )


def status_seen(adapter: Manifest) -> DgdsaStatus:
    """Read the status; one that somebody else wrote in another shape counts as none."""
    try:
        return DgdsaStatus.model_validate(adapter.get("status") or {})
    except ValidationError:
        return DgdsaStatus()


def with_pods(status: DgdsaStatus, target: Target, replicas: int | None) -> DgdsaStatus:
    """Add what an autoscaler reads: the pods there are (None: not known) and their labels."""
    labels = {Label.GRAPH: target.graph.name, Label.COMPONENT: target.component.name}
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    return status.model_copy(update={"replicas": replicas, "selector": selector})


def with_verdict(
    status: DgdsaStatus, verdict: Verdict, generation: int, now: datetime
) -> DgdsaStatus:
    """Add whether the adapter is what its component has."""
    progress = _PROGRESS.get(verdict.reason, Progress.UNDER_WAY)
    conditions = with_progress(
        status.conditions, progress, verdict.reason, verdict.message, now, generation
    )
    return status.model_copy(update={"conditions": conditions, "observed_generation": generation})
