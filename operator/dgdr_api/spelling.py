"""What one version of a manifest says and the other cannot: a patch, put back where it fits.

A patch is a JSON merge patch (RFC 7386): null removes. An empty field and none are the same.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from dgdr_api.graph import Json
from dgdr_api.reading import CodecError

_EMPTY: tuple[Any, ...] = (None, {}, [], (), "")


def patch(base: Json, wanted: Json) -> dict[str, Any]:
    """Return what turns ``base`` into ``wanted``; empty when nothing has to change."""
    found: dict[str, Any] = {}
    for key in {**base, **wanted}:
        old, new = base.get(key), wanted.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            if inner := patch(old, new):
                found[key] = inner
        elif old != new and not (old in _EMPTY and new in _EMPTY):
            found[key] = new
    return found


def patched(base: Json, change: Json) -> dict[str, Any]:
    """Return ``base`` with a patch applied."""
    result = dict(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            old = result.get(key)
            result[key] = patched(old if isinstance(old, Mapping) else {}, value)
        else:
            result[key] = value
    return result


def fitted(base: Json, change: Json, fits: Callable[[Json], bool]) -> Json:
    """Return ``base`` with as much of a patch as fits.

    A part that does not fit is split, down to single fields: what was edited since the patch was
    taken must not be undone by it.
    """
    return _fitted(base, (), change, fits)


def _fitted(base: Json, path: tuple[str, ...], change: Any, fits: Callable[[Json], bool]) -> Json:
    whole = patched(base, _nested(path, change))
    if fits(whole):
        return whole
    if isinstance(change, Mapping):
        for key, part in change.items():
            base = _fitted(base, (*path, key), part, fits)
    return base


def _nested(path: tuple[str, ...], change: Any) -> Any:
    for key in reversed(path):
        change = {key: change}
    return change


def keyed(manifest: Json, field: str) -> Json:
    """Return a manifest with a list of its spec as a map by name, so that entries are compared."""
    entries = _spec(manifest).get(field)
    if not isinstance(entries, list) or not all(isinstance(e, Mapping) for e in entries):
        return manifest
    found = {entry["name"]: entry for entry in entries if isinstance(entry.get("name"), str)}
    if len(found) < len(entries):
        return manifest
    return {**manifest, "spec": {**_spec(manifest), field: found}}


def listed(manifest: Json, field: str) -> Json:
    """Return a manifest in which such a map is the list again."""
    entries = _spec(manifest).get(field)
    if not isinstance(entries, Mapping):
        return manifest
    found = [
        {"name": name, **entry} if isinstance(entry, Mapping) else entry
        for name, entry in entries.items()
    ]
    return {**manifest, "spec": {**_spec(manifest), field: found}}


def _spec(manifest: Json) -> Json:
    spec = manifest.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def written(change: Json) -> str:
    """Return a patch as the value of an annotation."""
    return json.dumps(change, separators=(",", ":"), default=str)


def read(text: str, path: str) -> Json:
    """Read the value of an annotation.

    Raises:
        CodecError: it is no patch of ours.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, Mapping):
        raise CodecError(path, text, "what was written there; remove the annotation")
    return found
