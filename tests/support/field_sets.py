"""Which manager owns which field: the part of server-side apply that our passes rely on."""

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

Path = tuple[Any, ...]

# Lists that the API server merges by key; all others are replaced whole.
MERGE_KEYS = {
    "containers": ("name",),
    "initContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "ports": ("containerPort", "port"),
    "components": ("name",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
    "imagePullSecrets": ("name",),
}


def item_key(field: Any, item: Any) -> tuple[str, Any] | None:
    """Return the (key, value) that identifies a list item, or None in an atomic list."""
    if not isinstance(item, dict):
        return None
    for key in MERGE_KEYS.get(field, ()) if isinstance(field, str) else ():
        if isinstance(item.get(key), str | int):
            return key, item[key]
    return None


def is_keyed(field: Any, value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(item_key(field, i) for i in value)


def leaves(value: Any, path: Path = ()) -> set[Path]:
    """Return the paths of everything that has a value."""
    field = path[-1] if path else None
    if isinstance(value, dict) and value:
        return set().union(*(leaves(child, (*path, name)) for name, child in value.items()))
    if is_keyed(field, value):
        return set().union(*(leaves(i, (*path, item_key(field, i))) for i in value))
    return {path}


@lru_cache(maxsize=4096)
def fields_v1(paths: frozenset[Path]) -> dict[str, Any]:
    """Return paths as an API server shows them in ``managedFields``; nobody may change it."""
    out: dict[str, Any] = {}
    for path in paths:
        place = out
        for part in path:
            if isinstance(part, tuple):
                key, value = part
                name = "k:" + json.dumps({key: value}, separators=(",", ":"))
            else:
                name = f"f:{part}"
            place = place.setdefault(name, {})
    return out


def merged(live: Any, applied: Any, field: Any = None) -> Any:
    """Return ``live`` with ``applied`` laid over it."""
    if isinstance(live, dict) and isinstance(applied, dict):
        out = dict(live)
        for name, child in applied.items():
            out[name] = merged(live[name], child, name) if name in live else child
        return out
    if is_keyed(field, applied) and is_keyed(field, live):
        by_key = {item_key(field, item): item for item in live}
        for item in applied:
            key = item_key(field, item)
            by_key[key] = merged(by_key[key], item) if key in by_key else item
        return list(by_key.values())
    return applied


def value_at(value: Any, path: Path, field: Any = None) -> Any:
    """Return what is at the path, None when nothing is."""
    if not path:
        return value
    head, *rest = path
    if isinstance(head, tuple):
        found = next((i for i in value or () if item_key(field, i) == head), None)
        return value_at(found, tuple(rest)) if found is not None else None
    if not isinstance(value, dict) or head not in value:
        return None
    return value_at(value[head], tuple(rest), head)


def without(value: Any, paths: Iterable[Path]) -> Any:
    """Return ``value`` without the leaves at the paths, nor the containers that this empties.

    What names an item of a list goes last, and only with the item: without it the rest would not
    be found.
    """
    for path in sorted(paths, key=_names_an_item):
        value = _without(value, path)
    return value


def _names_an_item(path: Path) -> bool:
    return len(path) > 1 and isinstance(path[-2], tuple) and path[-1] == path[-2][0]


def _without(value: Any, path: Path, field: Any = None) -> Any:
    head, *rest = path
    if isinstance(head, tuple):
        items = (_item_without(i, head, rest) if item_key(field, i) == head else i for i in value)
        return [item for item in items if item]
    if not isinstance(value, dict) or head not in value:
        return value
    out = dict(value)
    child = _without(out[head], tuple(rest), head) if rest else None
    if not rest or child in ({}, []):
        del out[head]
    else:
        out[head] = child
    return out


def _item_without(item: Any, key: tuple[str, Any], rest: list[Any]) -> Any:
    if rest == [key[0]]:
        return item if len(item) > 1 else None
    return _without(item, tuple(rest)) if rest else None


def merge_patched(live: Any, patch: Any) -> Any:
    """Return ``live`` after an RFC 7386 merge patch."""
    if not isinstance(patch, dict):
        return patch
    out = dict(live) if isinstance(live, dict) else {}
    for name, child in patch.items():
        if child is None:
            out.pop(name, None)
        else:
            out[name] = merge_patched(out.get(name), child)
    return out
