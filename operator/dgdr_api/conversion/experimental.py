"""Fields of a service that v1beta1 holds under ``experimental``."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

FIELD = "experimental"
_CHECKPOINT = "checkpoint"
# v1alpha1 switches them on; in v1beta1 they are on where they stand. Its modes have a capital.
_SWITCHED = ("failover", "gpuMemoryService")


def to_v1beta1(service: Json) -> dict[str, Any]:
    """Return what v1beta1 can say of a service; what is switched off is not there."""
    found: dict[str, Any] = {}
    for key in _SWITCHED:
        value = service.get(key)
        if isinstance(value, Mapping) and value.get("enabled") is True:
            rest = {name: one for name, one in value.items() if name != "enabled"}
            found[key] = _with_mode(rest, str.upper)
    if isinstance(service.get(_CHECKPOINT), Mapping):
        found[_CHECKPOINT] = service[_CHECKPOINT]
    return {FIELD: found} if found else {}


def to_v1alpha1(component: Json) -> dict[str, Any]:
    """Return the fields of a service."""
    inner = component.get(FIELD)
    if not isinstance(inner, Mapping):
        return {}
    found: dict[str, Any] = {
        key: {"enabled": True, **_with_mode(inner[key], str.lower)}
        for key in _SWITCHED
        if isinstance(inner.get(key), Mapping)
    }
    if isinstance(inner.get(_CHECKPOINT), Mapping):
        found[_CHECKPOINT] = inner[_CHECKPOINT]
    return found


def _with_mode(value: Json, first: Any) -> dict[str, Any]:
    mode = value.get("mode")
    if not isinstance(mode, str) or not mode:
        return dict(value)
    return {**value, "mode": first(mode[0]) + mode[1:]}
