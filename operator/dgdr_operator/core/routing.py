"""Whose pass an event belongs to: from an object that changed to the keys that are marked."""

from collections.abc import Mapping
from typing import Any

from dgdr_api.names import Label
from dgdr_kube.ports import Key

Json = Mapping[str, Any]

_DGDR_KIND = "DynamoGraphDeploymentRequest"


def itself(body: Json) -> tuple[Key, ...]:
    """Return the object's own key."""
    meta = body["metadata"]
    return (Key(meta["namespace"], meta["name"]),)


def owning_request(body: Json) -> tuple[Key, ...]:
    """Return the DGDR that the object belongs to, by owner or by label.

    Both are in its namespace: whoever may label an object in one must not start passes in others.
    """
    meta = body["metadata"]
    for owner in meta.get("ownerReferences") or ():
        if owner.get("kind") == _DGDR_KIND:
            return (Key(meta["namespace"], owner["name"]),)
    labels = meta.get("labels") or {}
    name, namespace = labels.get(Label.DGDR_NAME), labels.get(Label.DGDR_NAMESPACE)
    return (Key(namespace, name),) if name and namespace == meta["namespace"] else ()


def graph(body: Json) -> tuple[Key, ...]:
    """Return the graph that a pod or a Deployment belongs to."""
    meta = body["metadata"]
    name = (meta.get("labels") or {}).get(Label.GRAPH)
    return (Key(meta["namespace"], name),) if name else ()


def run(body: Json) -> tuple[tuple[str, str], ...]:
    """Return namespace and run of a candidate."""
    meta = body["metadata"]
    of = (meta.get("labels") or {}).get(Label.RUN)
    return ((meta["namespace"], of),) if of else ()


def graph_of_adapter(body: Json) -> tuple[Key, ...]:
    """Return the graph that an adapter scales."""
    name = ((body.get("spec") or {}).get("dgdRef") or {}).get("name")
    return (Key(body["metadata"]["namespace"], name),) if name else ()


def profiled_request(body: Json) -> tuple[Key, ...]:
    """Return the DGDR that a pod of a profiling Job measures for."""
    meta = body["metadata"]
    name = (meta.get("labels") or {}).get(Label.JOB_DGDR)
    return (Key(meta["namespace"], name),) if name else ()
