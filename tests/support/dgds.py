"""Graphs and their manifests, with little to write."""

from typing import Any

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.graph import Graph
from dgdr_operator.core.data_plane import DataPlane

PLANE = DataPlane()
OWNER = {
    "apiVersion": "nvidia.com/v1beta1",
    "kind": "DynamoGraphDeployment",
    "name": "g",
    "uid": "uid-g",
    "controller": True,
    "blockOwnerDeletion": False,
}


def entry(name: str, role: str, main: Any = None, pod: Any = None, **fields: Any) -> dict[str, Any]:
    """One component: ``main`` goes to its container, ``pod`` to its pod's spec."""
    container = {"name": "main", "image": "dynamo:1", **(main or {})}
    spec = {"containers": [container], **(pod or {})}
    return {"name": name, "type": role, "podTemplate": {"spec": spec}, **fields}


def frontend(**kwargs: Any) -> dict[str, Any]:
    return entry("Frontend", "frontend", **kwargs)


def decode_worker(**kwargs: Any) -> dict[str, Any]:
    return entry("decode", "decode", **kwargs)


def dgd(*components: dict[str, Any], annotations: Any = None, **spec: Any) -> dict[str, Any]:
    """A DynamoGraphDeployment ``ns/g``."""
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g", "namespace": "ns", "annotations": annotations or {}},
        "spec": {"components": list(components), **spec},
    }


def graph(*components: dict[str, Any], **kwargs: Any) -> Graph:
    return decode(dgd(*components, **kwargs))
