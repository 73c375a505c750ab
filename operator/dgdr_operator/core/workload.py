"""The workload of a component: a Deployment, or a LeaderWorkerSet where it takes several nodes.

Each function reads or writes what both have; a template is the pods' own part, which is pinned.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from dgdr_api.graph import Component, Graph
from dgdr_api.names import component_name

Manifest = dict[str, Any]

KINDS = ("Deployment", "LeaderWorkerSet")
MAX_GROUP_CHARS = 48
"""Of a LeaderWorkerSet's name, less its ``-0``.

LeaderWorkerSet names the StatefulSet of a replica's followers ``<name>-<replica>``, and their label
``controller-revision-hash`` is that name with a dash and up to ten characters; labels end at 63.
Nobody counts replicas over ten: an eleventh may take one character more.
"""
_DIGEST_CHARS = 8
_GROUP = "leaderWorkerTemplate"
_OF_GROUP = ("leaderTemplate", "workerTemplate")


def is_group(component: Component) -> bool:
    """Whether a replica is a group of pods on several nodes."""
    return component.nodes > 1


def workload_name(graph: Graph, component: Component) -> str:
    """Return the workload's name.

    LeaderWorkerSet makes a Service of its own name, which must not be the component's. A name that
    is too long for it ends in a hash of itself; Service and labels have it whole.
    """
    name = component_name(graph.name, component.name)
    if not is_group(component):
        return name
    if len(name) > MAX_GROUP_CHARS:
        digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_CHARS]
        name = f"{name[: MAX_GROUP_CHARS - _DIGEST_CHARS - 1].rstrip('-')}-{digest}"
    return f"{name}-0"


def template_of(workload: Mapping[str, Any]) -> Manifest:
    """Return what pods are made from: a pod template, or both of a group's."""
    spec = workload["spec"]
    if workload.get("kind") != "LeaderWorkerSet":
        template: Manifest = spec["template"]
        return template
    return {key: spec[_GROUP][key] for key in _OF_GROUP if key in spec[_GROUP]}


def with_template(workload: Manifest, template: Manifest) -> Manifest:
    """Return the workload with other pods."""
    spec = workload["spec"]
    if workload["kind"] != "LeaderWorkerSet":
        return {**workload, "spec": {**spec, "template": template}}
    return {**workload, "spec": {**spec, _GROUP: {**spec[_GROUP], **template}}}


def leading(template: Manifest) -> Manifest:
    """Return the pod template by which a component is known: the leader's, of a group."""
    inner: Manifest = template.get("leaderTemplate", template)
    return inner


def pod_runs(pod: Mapping[str, Any]) -> bool:
    """Whether all containers of a pod that stays are ready."""
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    is_there = bool(containers) and not pod["metadata"].get("deletionTimestamp")
    return is_there and all(container.get("ready") for container in containers)


def group_pods(group: Mapping[str, Any]) -> int:
    """Return how many pods a LeaderWorkerSet asks for."""
    spec = group["spec"]
    pods: int = spec.get("replicas", 1) * spec[_GROUP].get("size", 1)
    return pods


def all_run(group: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> bool:
    """Whether just the pods that a LeaderWorkerSet asks for are there and run."""
    return [pod_runs(pod) for pod in pods] == [True] * group_pods(group)
