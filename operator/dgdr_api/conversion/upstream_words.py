"""A v1alpha1 spec in the words of upstream's note.

What is one list of a pod in v1beta1, a v1alpha1 service may say in two places: environment and
mounts of its own, and of its main container. The note says where they stood. To say them in the
other place would be the same deployment, but whoever applies the old manifest over it would have
them in both, and a path that is mounted twice is refused.
"""

from collections.abc import Mapping
from typing import Any

from dgdr_api.claims_v1alpha1 import claim_volume
from dgdr_api.graph import Component, Role
from dgdr_api.graph_v1alpha1 import CLAIMS
from dgdr_api.reading import name_of, objects_of
from dgdr_api.service_v1alpha1 import read_service

Json = Mapping[str, Any]
Path = tuple[str, ...]

_POD, _MOUNTS = "extraPodSpec", "volumeMounts"
_MAIN: Path = (_POD, "mainContainer")
_VOLUMES: Path = (_POD, "volumes")
# Places that hold one thing together.
_PLACES: tuple[tuple[Path, Path], ...] = (
    (("envs",), (*_MAIN, "env")),
    (("envFromSecret",), (*_MAIN, "envFrom")),
    ((_MOUNTS,), (*_MAIN, _MOUNTS)),
)


def worded(spec: Json, said: Json) -> tuple[Json, Json]:
    """Return a spec in the words of a note where they mean the same, and the rest of the note."""
    services, notes = spec.get("services"), said.get("services")
    if not isinstance(services, Mapping) or not isinstance(notes, Mapping):
        return spec, said
    found = {name: _service(one, notes.get(name)) for name, one in services.items()}
    left = {name: _left(one) for name, one in notes.items()}
    rest = {key: one for key, one in spec.items() if key != CLAIMS}
    claims = _claims(said)
    return (
        {**rest, **({CLAIMS: claims} if claims else {}), "services": found},
        {**{key: one for key, one in said.items() if key != CLAIMS}, "services": left},
    )


def _claims(said: Json) -> list[Json]:
    """Return the claims as the note has them; an amount of 0 stands there because Go writes it."""
    found = objects_of(said.get(CLAIMS))
    return [{k: v for k, v in one.items() if (k, v) != ("size", "0")} for one in found]


def _service(service: Json, note: Any) -> Json:
    if not isinstance(note, Mapping):
        return service
    for places in _PLACES:
        if any(_at(note, path) is not None for path in places):
            candidate = _with_words(service, note, places)
            if _meaning(candidate) == _meaning(service):
                service = candidate
    return service


def _with_words(service: Json, note: Json, places: tuple[Path, Path]) -> Json:
    found = service
    for path in places:
        found = _put(found, path, _at(note, path))
    if (_MOUNTS,) not in places:
        return found
    whole = _read(service)
    mounted = {name_of(one) for one in objects_of(found.get(_MOUNTS))}
    implied = [claim_volume(name) for name in mounted if name]
    return _put(found, _VOLUMES, [one for one in whole.volumes if one not in implied])


def _left(note: Any) -> Any:
    """Return a note less the words, which hold where they mean what is live, and nowhere else."""
    if not isinstance(note, Mapping):
        return note
    for path in (path for places in _PLACES for path in places):
        note = _put(note, path, None)
    return note


def _meaning(service: Json) -> tuple[Any, ...] | None:
    """Return what of a pod these words say; None where they cannot be read."""
    try:
        read = _read(service)
    except Exception:
        return None
    # Upstream mounts a compilation cache beside naming it.
    cache = (read.extra.get("compilationCache") or {}).get("pvcName")
    mounts = [one for one in read.volume_mounts if one.get("name") != cache]
    volumes = {name_of(one): one for one in read.volumes if one.get("name") != cache}
    return read.env, read.env_from, mounts, volumes, cache


def _read(service: Json) -> Component:
    component, _ = read_service("service", Role.WORKER, service, "spec.services")
    return component


def _at(value: Any, path: Path) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _put(value: Any, path: Path, new: Any) -> dict[str, Any]:
    """Return an object with something else at a path; nothing, and no empty object, for None."""
    key, rest = path[0], path[1:]
    inside = dict(value) if isinstance(value, Mapping) else {}
    inner = _put(inside.get(key), rest, new) if rest else new
    if inner in (None, {}, []):
        return {k: one for k, one in inside.items() if k != key}
    return {**inside, key: inner}
