"""What a graph becomes: Deployments, Services, and the account of its pods."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from dgdr_api.graph import Component, Graph, Role
from dgdr_api.names import Annotation, component_name
from dgdr_operator.core.amounts import bad_amount
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.discovery_rbac import discovery_rbac
from dgdr_operator.core.pod_template import pod_template, service_account
from dgdr_operator.core.ports_and_probes import service_ports
from dgdr_operator.core.storage import cache_path
from dgdr_operator.core.workload_labels import (
    DISCOVERY_LABELS,
    component_labels,
    selector_labels,
)

Manifest = dict[str, Any]

# Loading may take the whole patience of the start-up probe, and a node may have to come first.
PROGRESS_DEADLINE_S = 3 * 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a component gets no workload; ``component`` is empty when it is about all of them."""

    component: str
    message: str

    def __str__(self) -> str:
        return f"{self.component}: {self.message}" if self.component else self.message


@dataclass(frozen=True, slots=True, kw_only=True)
class Workloads:
    """Everything to apply, in order, and what cannot be run."""

    manifests: tuple[Manifest, ...]
    problems: tuple[Problem, ...] = ()


def render_workloads(graph: Graph, owner: Manifest, plane: DataPlane) -> Workloads:
    """Return what the graph becomes; a component that cannot be run holds up no other.

    ``owner`` is the owner reference to the graph's object: with it everything goes.
    """
    problems = tuple(p for c in graph.components if (p := problem_of(graph, c, plane)) is not None)
    refused = {problem.component for problem in problems}
    runnable = [c for c in graph.components if c.name not in refused]
    accounts = {a for c in runnable if (a := service_account(graph, c, plane)) is not None}
    manifests = [
        *(discovery_rbac(graph, accounts) if plane.needs_rights else ()),
        *(render_service(graph, component, plane) for component in runnable if _ports(component)),
        *(render_deployment(graph, component, plane) for component in runnable),
    ]
    return Workloads(manifests=tuple(_owned(manifests, owner)), problems=problems)


def problem_of(graph: Graph, component: Component, plane: DataPlane) -> Problem | None:
    """Return why standalone mode cannot run a component; None when it can."""
    if component.nodes > 1:
        text = (
            f"multinode.nodeCount {component.nodes} needs Grove or LeaderWorkerSet, which "
            "standalone mode does not drive yet; give the engine at most the GPUs of one node"
        )
    elif component.role is Role.EPP:
        text = (
            "type epp (endpoint picker of the Gateway API) is not run in standalone mode yet; "
            "remove the component and send requests to the frontend"
        )
    elif namesake := _namesake(graph, component):
        text = f"its workload would be named like that of {namesake}; choose another name"
    elif component.extra.get("compilationCache") and cache_path(graph, component) is None:
        text = "compilationCache.mountPath is missing; only vLLM has a default for it"
    elif refusal := plane.pods.refusal(component.pod) or bad_amount(component):
        text = refusal
    else:
        return None
    return Problem(component=component.name, message=text)


def render_deployment(graph: Graph, component: Component, plane: DataPlane) -> Manifest:
    """Return a component's Deployment."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(graph, component),
        "spec": {
            "replicas": 1 if component.replicas is None else component.replicas,
            "selector": {"matchLabels": selector_labels(graph, component)},
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "progressDeadlineSeconds": PROGRESS_DEADLINE_S,
            "template": pod_template(graph, component, plane),
        },
    }


def render_service(graph: Graph, component: Component, plane: DataPlane) -> Manifest:
    """Return a component's Service.

    Kubernetes copies its labels to the EndpointSlices, which is where Dynamo looks for pods. A
    frontend carries them too: with KV routing it publishes endpoints of its own.
    """
    metadata = _metadata(graph, component)
    if plane.needs_rights:
        metadata["labels"] = metadata["labels"] | DISCOVERY_LABELS
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {
            "type": "ClusterIP",
            "selector": selector_labels(graph, component),
            "ports": _ports(component),
        },
    }


def _ports(component: Component) -> list[dict[str, Any]]:
    return service_ports(component.role, component.container.get("ports") or ())


def fingerprint(manifest: Manifest) -> str:
    """Return what changes whenever something in the manifest does."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _namesake(graph: Graph, component: Component) -> str | None:
    """Return an earlier component whose name differs in dots and dashes only."""
    mine = component_name(graph.name, component.name)
    earlier = takewhile(lambda c: c.name != component.name, graph.components)
    return next((c.name for c in earlier if component_name(graph.name, c.name) == mine), None)


def _metadata(graph: Graph, component: Component) -> Manifest:
    return {
        "name": component_name(graph.name, component.name),
        "namespace": graph.namespace,
        "labels": component_labels(graph, component),
    }


def _owned(manifests: Iterable[Manifest], owner: Manifest) -> Iterable[Manifest]:
    for manifest in manifests:
        metadata = manifest["metadata"] | {"ownerReferences": [owner]}
        stamp = fingerprint({**manifest, "metadata": metadata})
        metadata["annotations"] = {Annotation.LAST_APPLIED_HASH: stamp}
        yield {**manifest, "metadata": metadata}
