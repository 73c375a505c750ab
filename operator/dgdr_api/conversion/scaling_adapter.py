"""An adapter's spec: one reference has another name in each version."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]

_REFERENCE = "dgdRef"
_ALPHA, _BETA = "serviceName", "componentName"


def to_v1beta1(spec: Json) -> dict[str, Any]:
    """Return the spec with ``componentName``."""
    return _renamed(spec, _ALPHA, _BETA)


def to_v1alpha1(spec: Json) -> dict[str, Any]:
    """Return the spec with ``serviceName``."""
    return _renamed(spec, _BETA, _ALPHA)


def _renamed(spec: Json, old: str, new: str) -> dict[str, Any]:
    reference = spec.get(_REFERENCE)
    if not isinstance(reference, Mapping) or new in reference:
        return dict(spec)
    return {**spec, _REFERENCE: {new if key == old else key: one for key, one in reference.items()}}
