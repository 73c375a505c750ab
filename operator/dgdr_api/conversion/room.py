"""Whether an object has room for what its other version cannot say.

It is kept in annotations, of which an API server takes 256 KiB for an object; one with more cannot
be read in that version, and no list that it is in.
"""

import json
from collections.abc import Mapping
from typing import Any

from dgdr_api.conversion.objects import ALPHA, BETA, KINDS, converted
from dgdr_api.problem import Problem
from dgdr_api.reading import object_of

Json = Mapping[str, Any]

MOST_BYTES = 256 * 1024
# A note holds what was said and what came back, each as a text within a text.
_GROWS = 4
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def too_long(manifest: Json) -> Problem | None:
    """Return what is kept of an object and too long; None where all of it has room."""
    if _GROWS * _bytes(json.dumps(manifest)) <= MOST_BYTES:
        return None
    other = BETA if manifest.get("apiVersion") == ALPHA else ALPHA
    annotations = _annotations(converted(manifest, other))
    kept = annotations.get(f"nvidia.com/{KINDS[str(manifest.get('kind'))].short}-spec")
    total = sum(_bytes(key) + _bytes(value) for key, value in annotations.items())
    if kept is None or total <= MOST_BYTES:
        return None
    applied = _bytes(annotations.get(_APPLIED, ""))
    also = f", {applied} of them {_APPLIED}" if applied else ""
    cures = ["shorten it"]
    if total - applied <= MOST_BYTES:
        cures.append("use kubectl apply --server-side")
    if other == BETA:
        cures.append(f"write the object in {BETA}")
    text = (
        f"what {other} cannot say of it is kept in annotations, which would have {total} bytes"
        f"{also}; at most {MOST_BYTES} are allowed: {', or '.join(cures)}"
    )
    return Problem(_largest(json.loads(kept).get("spec"), "spec"), None, text, "Too long")


def _annotations(manifest: Json) -> dict[str, str]:
    found = object_of(object_of(manifest.get("metadata")).get("annotations"))
    return {key: str(value) for key, value in found.items()}


def _bytes(text: str) -> int:
    return len(text.encode())


def _largest(value: Any, path: str) -> str:
    """Return the path of what takes more than half of a value's room, as far as one part does."""
    parts = value if isinstance(value, Mapping) else {}
    sizes = {key: len(json.dumps(part)) for key, part in parts.items()}
    key = max(sizes, key=lambda one: sizes[one], default=None)
    if key is None or sizes[key] * 2 < sum(sizes.values()):
        return path
    return _largest(parts[key], f"{path}.{key}")
