"""Fake nodes with GPUs: pods on them become Running, but no process runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hack.cluster import gpus
from hack.cluster.components import FAKE_NODE_ANNOTATION

if TYPE_CHECKING:
    from hack.cluster.api import Api


def gpu_node(name: str, *, gpus_per_node: int) -> dict[str, Any]:
    """A Node that KWOK keeps Ready."""
    capacity = {"cpu": "192", "memory": "2Ti", "pods": "110", gpus.RESOURCE: str(gpus_per_node)}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {FAKE_NODE_ANNOTATION: "fake"},
            "labels": {
                "kubernetes.io/hostname": name,
                "type": "kwok",
                **gpus.labels(gpus_per_node),
            },
        },
        "status": {"capacity": capacity, "allocatable": capacity},
    }


def add_gpu_nodes(api: Api, count: int, *, gpus_per_node: int = 8) -> list[str]:
    """Create or update ``count`` nodes; applying them twice changes nothing."""
    names = [f"gpu-{index}" for index in range(1, count + 1)]
    for name in names:
        manifest = gpu_node(name, gpus_per_node=gpus_per_node)
        status = {key: manifest[key] for key in ("apiVersion", "kind", "status")}
        api.apply(f"/api/v1/nodes/{name}", manifest)
        api.apply(f"/api/v1/nodes/{name}/status", {**status, "metadata": {"name": name}})
    return names
