"""What a graph becomes: Deployments or LeaderWorkerSets, Services, and the account of its pods."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from dgdr_api.graph import Component, Graph, Role
from dgdr_api.names import Annotation, component_name
from dgdr_api.validate_graph import not_run
from dgdr_kube.kinds import LEADER_WORKER_SET
from dgdr_operator.core.amounts import bad_amount
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.discovery_rbac import discovery_rbac, planner_rbac
from dgdr_operator.core.multinode import Program, Programs, programs_of
from dgdr_operator.core.pod_template import pod_template, service_account, without_probes
from dgdr_operator.core.ports_and_probes import service_ports
from dgdr_operator.core.storage import cache_path
from dgdr_operator.core.workload import is_group, workload_name
from dgdr_operator.core.workload_labels import (
    DISCOVERY_LABELS,
    component_labels,
    selector_labels,
)

Manifest = dict[str, Any]

GROUP_ROLE = "role"
"""Label of a group's pods, as NVIDIA's operator has it; the Service finds leaders by it."""
NIXL_HOST = "VLLM_NIXL_SIDE_CHANNEL_HOST"
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
    planners = {
        account
        for c in runnable
        if c.role is Role.PLANNER and (account := service_account(graph, c, plane)) is not None
    }
    manifests = [
        *(discovery_rbac(graph, accounts) if plane.needs_rights else ()),
        *(planner_rbac(graph, planners) if planners else ()),
        *(render_service(graph, component, plane) for component in runnable if _ports(component)),
        *(render_workload(graph, component, plane) for component in runnable),
    ]
    return Workloads(manifests=tuple(_owned(manifests, owner)), problems=problems)


def problem_of(graph: Graph, component: Component, plane: DataPlane) -> Problem | None:
    """Return why standalone mode cannot run a component; None when it can."""
    if idle := not_run(component):
        text = idle
    elif is_group(component) and not plane.groups:
        text = (
            f"multinode.nodeCount {component.nodes} needs LeaderWorkerSet, which this cluster does "
            "not serve; install it (https://lws.sigs.k8s.io), or give the engine at most the GPUs "
            "of one node"
        )
    elif is_group(component) and isinstance(why := programs_of(graph, component), str):
        text = why
    elif namesake := _namesake(graph, component):
        text = f"its workload would be named like that of {namesake}; choose another name"
    elif component.extra.get("compilationCache") and cache_path(graph, component) is None:
        text = "compilationCache.mountPath is missing; only vLLM has a default for it"
    elif refusal := plane.pods.refusal(component.pod) or bad_amount(component):
        text = refusal
    else:
        return None
    return Problem(component=component.name, message=text)


def render_workload(graph: Graph, component: Component, plane: DataPlane) -> Manifest:
    """Return a component's Deployment, or its LeaderWorkerSet."""
    render = render_group if is_group(component) else render_deployment
    return render(graph, component, plane)


def render_group(graph: Graph, component: Component, plane: DataPlane) -> Manifest:
    """Return a component's LeaderWorkerSet, of which each replica is a group over its nodes.

    When a pod of a group ends, the whole group starts again: the others would wait for it for ever.
    """
    programs = programs_of(graph, component)
    assert isinstance(programs, Programs), programs
    own = Program(component.command, component.args)
    leader = pod_template(graph, _running(component, programs.leader), plane)
    worker = pod_template(graph, _running(component, programs.worker), plane)
    leader["metadata"]["labels"] |= {GROUP_ROLE: "leader"}
    worker["metadata"]["labels"] |= {GROUP_ROLE: "worker"}
    if programs.worker != own:
        without_probes(worker)
    return {
        "apiVersion": LEADER_WORKER_SET.api_version,
        "kind": LEADER_WORKER_SET.kind,
        "metadata": _metadata(graph, component) | {"name": workload_name(graph, component)},
        "spec": {
            "replicas": 1 if component.replicas is None else component.replicas,
            "startupPolicy": "LeaderCreated",
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {"maxSurge": 0, "maxUnavailable": 1},
            },
            "leaderWorkerTemplate": {
                "size": component.nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": leader,
                "workerTemplate": worker,
            },
        },
    }


def _running(component: Component, program: Program) -> Component:
    """Return the component with another program; each pod says where others reach it."""
    return component.with_(command=program.command, args=program.args, env=_with_host(component))


def _with_host(component: Component) -> tuple[Any, ...]:
    """Name the pod's address where vLLM fetches KV caches: localhost is no other node's."""
    is_vllm = "dynamo.vllm" in " ".join((*component.command, *component.args))
    if not is_vllm or any(entry["name"] == NIXL_HOST for entry in component.env):
        return component.env
    field = {"fieldRef": {"fieldPath": "status.podIP"}}
    return (*component.env, {"name": NIXL_HOST, "valueFrom": field})


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
            "selector": {
                **selector_labels(graph, component),
                **({GROUP_ROLE: "leader"} if is_group(component) else {}),
            },
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
    """Return an earlier component whose Services would have a name of this one's."""
    mine = _service_names(graph, component)
    earlier = takewhile(lambda c: c.name != component.name, graph.components)
    return next((c.name for c in earlier if mine & _service_names(graph, c)), None)


def _service_names(graph: Graph, component: Component) -> set[str]:
    """Return the names of our Service and, of a group, of the one that LeaderWorkerSet makes."""
    return {component_name(graph.name, component.name), workload_name(graph, component)}


def _metadata(graph: Graph, component: Component) -> Manifest:
    return {
        "name": component_name(graph.name, component.name),
        "namespace": graph.namespace,
        "labels": {**component.labels, **component_labels(graph, component)},
    }


def _owned(manifests: Iterable[Manifest], owner: Manifest) -> Iterable[Manifest]:
    for manifest in manifests:
        metadata = manifest["metadata"] | {"ownerReferences": [owner]}
        stamp = fingerprint({**manifest, "metadata": metadata})
        metadata["annotations"] = {Annotation.LAST_APPLIED_HASH: stamp}
        yield {**manifest, "metadata": metadata}
