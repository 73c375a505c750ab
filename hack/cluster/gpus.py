"""Fake GPUs of the real node: numbers and labels, so that scheduling and discovery are real."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hack.cluster.api import Api

RESOURCE = "nvidia.com/gpu"
COUNT = 16
# What NVIDIA's feature discovery writes on a machine with 141 GB H200s.
PRODUCT = "NVIDIA-H200"
MEMORY_MIB = 143771


def labels(count: int = COUNT) -> dict[str, str]:
    """The labels that hardware discovery reads."""
    return {
        "nvidia.com/gpu.product": PRODUCT,
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.memory": str(MEMORY_MIB),
    }


def offer(api: Api, node: str, count: int = COUNT) -> None:
    """Patch the capacity; kubelet copies it to allocatable and keeps it from then on."""
    api.merge(f"/api/v1/nodes/{node}/status", {"status": {"capacity": {RESOURCE: str(count)}}})
