"""Volumes that we add to a component's pods: shared memory, compilation cache, mounted claims."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dgdr_api.claims_v1alpha1 import claim_volume
from dgdr_api.graph import Component, Graph, Json
from dgdr_api.reading import name_of

SHARED_MEMORY_PATH = "/dev/shm"
SHARED_MEMORY_VOLUME = "shared-memory"
DEFAULT_SHARED_MEMORY = "8Gi"

CACHE_VOLUME = "compilation-cache"
# Only vLLM has one well-known place for what it compiles.
VLLM_CACHE_PATH = "/root/.cache/vllm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Volumes and where the main container mounts them."""

    volumes: tuple[Json, ...] = ()
    mounts: tuple[Json, ...] = ()

    def __add__(self, other: "Storage") -> "Storage":
        return Storage(volumes=self.volumes + other.volumes, mounts=self.mounts + other.mounts)


def storage(graph: Graph, component: Component) -> Storage:
    """Return what we add; a mount of the user's at the same path makes ours superfluous."""
    added = _shared_memory(component) + _compilation_cache(graph, component)
    return added + Storage(volumes=tuple(_claims(component, added)))


def _claims(component: Component, added: Storage) -> Iterator[Json]:
    """Return volumes for mounts that name none: it is the claim of that name that they mean.

    NVIDIA's operator reads them so, and stores what was v1alpha1 without such volumes.
    """
    known = {name_of(volume) for volume in (*component.volumes, *added.volumes)}
    for name in dict.fromkeys(map(name_of, component.volume_mounts)):
        if name is not None and name not in known:
            yield claim_volume(name)


def cache_path(graph: Graph, component: Component) -> str | None:
    """Return where the compilation cache is mounted; None when nobody says it."""
    cache = component.extra.get("compilationCache") or {}
    return cache.get("mountPath") or (VLLM_CACHE_PATH if _is_vllm(graph, component) else None)


def vllm_cache(graph: Graph, component: Component) -> str | None:
    """Return where vLLM has to be told that its cache is; None where it looks, or has none."""
    has_one = component.extra.get("compilationCache") and _is_vllm(graph, component)
    path = cache_path(graph, component) if has_one else None
    return None if path == VLLM_CACHE_PATH else path


def _is_vllm(graph: Graph, component: Component) -> bool:
    program = " ".join((*component.command, *component.args))
    return graph.backend == "vllm" or "dynamo.vllm" in program


def _shared_memory(component: Component) -> Storage:
    """Without shared memory of this size NCCL and vLLM fail as soon as ranks talk."""
    size = component.shared_memory_size or DEFAULT_SHARED_MEMORY
    if str(size) == "0":
        return Storage()
    memory = {"medium": "Memory", "sizeLimit": size}
    return _volume(component, SHARED_MEMORY_VOLUME, SHARED_MEMORY_PATH, {"emptyDir": memory})


def _compilation_cache(graph: Graph, component: Component) -> Storage:
    cache = component.extra.get("compilationCache")
    path = cache_path(graph, component)
    if not cache or not path:
        return Storage()
    source = {"persistentVolumeClaim": {"claimName": cache["pvcName"]}}
    return _volume(component, CACHE_VOLUME, path, source)


def _volume(component: Component, name: str, path: str, source: dict[str, Any]) -> Storage:
    if any(mount.get("mountPath") == path for mount in component.volume_mounts):
        return Storage()
    return Storage(volumes=({"name": name, **source},), mounts=({"name": name, "mountPath": path},))
