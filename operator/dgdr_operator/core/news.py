"""What each pass reads of an object that is not its own: nothing else is news to it."""

from collections.abc import Mapping
from typing import Any

from dgdr_api.names import Label
from dgdr_operator.core.observed_workloads import pods_seen, workload_seen

Json = Mapping[str, Any]

_OWNERSHIP = ("uid", "labels", "annotations", "ownerReferences", "deletionTimestamp")


def of_itself(body: Json) -> object:
    """Read what an object's own pass acts on: all but the status, which is that pass's own word."""
    meta = body["metadata"]
    return meta.get("generation"), [meta.get(key) for key in _OWNERSHIP]


def of_adapter(body: Json) -> object:
    """Read what its pass acts on, and the number that autoscalers read.

    A leader of before may write it late, when nothing else happens any more.
    """
    return of_itself(body), (body.get("status") or {}).get("replicas")


def of_child(body: Json) -> object:
    """Read all of an object that somebody else has no business with."""
    return of_itself(body), body.get("spec"), body.get("rules"), body.get("roleRef")


def of_graph_for_adapters(body: Json) -> object:
    """Read what says which components a graph has, and how many replicas.

    Of groups nobody hears but by this report: LeaderWorkerSets are not watched.
    """
    meta, status = body["metadata"], body.get("status") or {}
    states = status.get("components")
    groups = [
        (name, state.get("replicas"))
        for name, state in (states if isinstance(states, Mapping) else {}).items()
        if isinstance(state, Mapping) and state.get("componentKind") == "LeaderWorkerSet"
    ]
    return meta.get("uid"), meta.get("generation"), meta.get("deletionTimestamp"), groups


def of_graph_for_request(body: Json) -> object:
    """Read how a deployment is: the pods of each component, and in whose hands it is."""
    if Label.RUN in (body["metadata"].get("labels") or {}):
        return of_itself(body)  # how a candidate is, is the profiler's to follow
    status = body.get("status") or {}
    read = ("state", "observedGeneration", "components", "conditions")
    return of_itself(body), [status.get(key) for key in read]


def of_deployment_for_adapters(body: Json) -> object:
    """Read how many pods there are."""
    return (body.get("status") or {}).get("replicas", 0)


def of_deployment_for_graph(body: Json) -> object:
    """Read what is applied, and how far its pods are."""
    return of_itself(body), workload_seen({"spec": {}, **body})


def of_pod_for_graph(body: Json) -> object:
    """Read what keeps a pod from running; nothing of one that comes up as it should."""
    troubles = [(seen.unschedulable, seen.troubles) for seen in pods_seen([dict(body)])]
    return [trouble for trouble in troubles if any(trouble)]
