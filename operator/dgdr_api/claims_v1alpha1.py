"""Volumes of claims, which a v1alpha1 service mounts by the claim's name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dgdr_api.graph import Component, Json
from dgdr_api.reading import CodecError, Reader, name_of, set_

_CACHE = "useAsCompilationCache"


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Volumes of a pod, and mounts of its main container."""

    volumes: tuple[Json, ...]
    mounts: tuple[Json, ...]


def read_storage(mounts: Sequence[Json], volumes: Sequence[Json], path: str) -> Storage:
    """Return what the mounts of a service add, less the compilation cache.

    Args:
        mounts: the service's ``volumeMounts``. Upstream mounts a claim whether ``pvcs`` names it
            or not, so that nobody needs those here.
        volumes: volumes that the pod has already; they win over a claim of the same name.
        path: where the mounts are written.

    Raises:
        CodecError: a mount lacks its name or its place.
    """
    cache = _cache(mounts)
    read = tuple(
        _mount(mount, f"{path}[{index}]")
        for index, mount in enumerate(mounts)
        if mount is not cache
    )
    taken = {name_of(volume) for volume in volumes}
    names = dict.fromkeys(mount["name"] for mount in read)
    added = tuple(claim_volume(name) for name in names if name not in taken)
    return Storage(volumes=added, mounts=read)


def read_cache(mounts: Sequence[Json], path: str) -> Json | None:
    """Return the compilation cache among the mounts, as v1beta1 writes it.

    Raises:
        CodecError: its name or place is no string.
    """
    cache = _cache(mounts)
    if cache is None:
        return None
    reader = Reader(cache, path)
    found: dict[str, Any] = {}
    set_(found, pvcName=reader.text("name"), mountPath=reader.text("mountPoint"))
    return found


def write_storage(component: Component) -> tuple[Storage, list[Json]]:
    """Return what stays in the pod, and ``volumeMounts`` of the service.

    A volume that is named like its claim becomes the service's, unless that would change an order.
    """
    claims = _claims(component)
    mounts = [mount for mount in component.volume_mounts if name_of(mount) in claims]
    kept = Storage(
        volumes=tuple(v for v in component.volumes if name_of(v) not in claims),
        mounts=tuple(m for m in component.volume_mounts if name_of(m) not in claims),
    )
    order = dict.fromkeys(mount["name"] for mount in mounts)
    volumes = (*kept.volumes, *(claim_volume(name) for name in order))
    if (volumes, (*kept.mounts, *mounts)) != (component.volumes, component.volume_mounts):
        kept, mounts = Storage(volumes=component.volumes, mounts=component.volume_mounts), []
    flat: list[Json] = [{"name": m["name"], "mountPoint": m["mountPath"]} for m in mounts]
    return kept, [*flat, *_written_cache(component.extra.get("compilationCache"))]


def _claims(component: Component) -> set[str | None]:
    """Return the claims that a service's mounts can say."""
    plain = {name_of(mount) for mount in component.volume_mounts if _is_plain(mount)}
    others = {name_of(mount) for mount in component.volume_mounts if not _is_plain(mount)}
    names = {name for v in component.volumes if (name := name_of(v)) and v == claim_volume(name)}
    return (plain - others) & names


def _is_plain(mount: Json) -> bool:
    """Whether a service's mount can say it: name and place, no more."""
    return set(mount) == {"name", "mountPath"} and all(_is_text(mount[key]) for key in mount)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def claim_volume(name: str) -> Json:
    """Return the volume of a claim, under the claim's name."""
    return {"name": name, "persistentVolumeClaim": {"claimName": name}}


def _mount(mount: Json, path: str) -> Json:
    reader = Reader(mount, path)
    name, place = reader.text("name"), reader.text("mountPoint")
    if not name or not place:
        raise CodecError(path, mount, "a mount with name and mountPoint")
    return {"name": name, "mountPath": place}


def _cache(mounts: Sequence[Json]) -> Json | None:
    """Return the first mount that is one; v1beta1 has a place for one."""
    return next((mount for mount in mounts if mount.get(_CACHE) is True), None)


def _written_cache(cache: Any) -> list[Json]:
    if not isinstance(cache, Mapping) or not _is_text(cache.get("pvcName")):
        return []
    found: dict[str, Any] = {"name": cache["pvcName"], _CACHE: True}
    set_(found, mountPoint=cache.get("mountPath"))
    return [found]
