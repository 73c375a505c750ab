"""Small pure functions on manifests that every pass needs."""

from collections.abc import Mapping
from typing import Any

from dgdr_kube.kinds import kind_of
from dgdr_kube.ports import Manifest, ObjectRef
from dgdr_kube.quantities import amount

_MAPS_OF_QUANTITIES = frozenset({"limits", "requests"})
_QUANTITIES = frozenset({"sizeLimit", "divisor"})


def ref(manifest: Mapping[str, Any]) -> ObjectRef:
    """Return the reference that Events about this object carry."""
    meta = manifest["metadata"]
    return ObjectRef(
        kind=kind_of(manifest),
        namespace=meta.get("namespace"),
        name=meta["name"],
        uid=meta.get("uid", ""),
    )


def owner_reference(manifest: Mapping[str, Any], *, controller: bool = True) -> Manifest:
    """Return the entry that makes a child disappear with this object.

    ``blockOwnerDeletion`` is false: true would need the right to update finalizers of the owner.
    """
    meta = manifest["metadata"]
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "name": meta["name"],
        "uid": meta["uid"],
        "controller": controller,
        "blockOwnerDeletion": False,
    }


def version_of(manifest: Mapping[str, Any] | None) -> str | None:
    """Return the version that a write because of this object carries; None: there was none."""
    return None if manifest is None else str(manifest["metadata"]["resourceVersion"])


def is_owned_by(manifest: Mapping[str, Any], uid: str) -> bool:
    """Whether the object of that uid is among the owners."""
    owners = manifest["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == uid for owner in owners)


def is_written_by(manifest: Mapping[str, Any], manager: str) -> bool:
    """Whether fields of the object are this manager's: a copy carries its labels, never these.

    A status does not count: whoever made the object, we report on it.
    """
    entries = manifest["metadata"].get("managedFields") or ()
    return any(e.get("manager") == manager and not e.get("subresource") for e in entries)


def is_going(manifest: Mapping[str, Any]) -> bool:
    """Whether the object was deleted and only waits for its finalizers or its grace period."""
    return bool(manifest["metadata"].get("deletionTimestamp"))


def intent_of(manifest: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return what differs when somebody wants something else of an object, or made another one."""
    meta = manifest["metadata"]
    return meta.get("uid"), meta.get("generation"), is_going(manifest)


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Manifest:
    """Return the JSON merge patch (RFC 7386) that turns ``old`` into ``new``; empty when equal."""
    patch: Manifest = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if key in old and before == value:
            continue
        nested = isinstance(value, Mapping) and isinstance(before, Mapping)
        patch[key] = merge_patch(before, value) if nested else value  # type: ignore[arg-type]
    return patch


def covers(actual: Any, wanted: Any) -> bool:
    """Whether applying ``wanted`` would change nothing of ``actual``.

    The API server adds defaults, drops what is empty and writes quantities its own way, so
    equality would apply the same thing for ever. Lists compare item by item and by length.
    """
    if actual == wanted:
        return True  # most of what a pass looks at, at a tenth of the time
    if isinstance(wanted, Mapping):
        return isinstance(actual, Mapping) and all(
            _field_covers(key, actual.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list | tuple):
        return (
            isinstance(actual, list | tuple)
            and len(actual) == len(wanted)
            and all(covers(have, want) for have, want in zip(actual, wanted, strict=True))
        )
    return False


def _field_covers(key: str, actual: Any, wanted: Any) -> bool:
    if actual is None and not wanted:
        return True
    if key in _QUANTITIES:
        return _is_same_quantity(actual, wanted)
    if key in _MAPS_OF_QUANTITIES and isinstance(wanted, Mapping) and isinstance(actual, Mapping):
        return all(_is_same_quantity(actual.get(name), want) for name, want in wanted.items())
    return covers(actual, wanted)


def _is_same_quantity(actual: Any, wanted: Any) -> bool:
    have, want = amount(actual), amount(wanted)
    return have == want if have is not None else bool(actual == wanted)
