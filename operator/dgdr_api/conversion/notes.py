"""The annotations in which an object carries what its version cannot say.

``nvidia.com/{dgdr,dgd}-spec`` holds ``{"version": 1, "spec": ..., "read": ...}``, and ``-status``
the status with a key ``read`` more. Without ``read`` it is upstream's own; and its releases 1.0 and
1.1 had an annotation for each field of a request.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dgdr_api.conversion.kept import ABSENT, Kept, by_name, restored
from dgdr_api.depth import MOST_LEVELS, is_deeper

Json = Mapping[str, Any]
Convert = Callable[[Json], dict[str, Any]]

GROUP = "nvidia.com"
_READ = "read"
_OLD: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "spec": {
        "dgdr-config-map-ref": ("profilingConfig", "configMapRef"),
        "dgdr-output-pvc": ("profilingConfig", "outputPVC"),
        "dgdr-profiling-config": ("profilingConfig", "config"),
        "dgdr-enable-gpu-discovery": ("enableGpuDiscovery",),
        "dgdr-deployment-overrides": ("deploymentOverrides",),
    },
    "status": {
        "dgdr-status-backend": ("backend",),
        "dgdr-profiling-results": ("profilingResults",),
        "dgdr-deployment-status": ("deployment",),
        "dgdr-profiling-job-name": ("profilingJobName",),
    },
}
_TEXTS = (
    *("dgdr-output-pvc", "dgdr-status-backend"),
    *("dgdr-profiling-results", "dgdr-profiling-job-name"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What was kept of a spec or status; ``read`` is None where upstream kept it."""

    said: Any
    read: Any = None

    @property
    def is_upstreams(self) -> bool:
        """Whether upstream kept it, which says nothing about what it read."""
        return self.read is None and isinstance(self.said, Mapping)

    def laid_under(self, live: Any, again: Convert) -> Any:
        """Return the live value with what upstream kept because it could not say it.

        Args:
            live: what the conversion gives now.
            again: the conversion there and back, of what upstream kept.
        """
        said = _without_blanks(self.said)
        return _filled(restored(said, _within(said, again(said)), live), said)


def taken(annotations: Json, kind: str, field: str) -> tuple[Note | None, dict[str, Any]]:
    """Return the note about ``spec`` or ``status`` of a kind, and the annotations without it.

    Upstream ignores what it cannot read there, and so do we.
    """
    name = f"{GROUP}/{kind}-{field}"
    old = {f"{GROUP}/{key}" for key in _OLD[field]} if kind == "dgdr" else set()
    left = {key: one for key, one in annotations.items() if key != name and key not in old}
    if name in annotations:
        return _read(_parsed(annotations[name]), field), left
    said = _of_single_fields(annotations, field) if old else {}
    return (Note(said=said) if said else None), left


def _read(payload: Any, field: str) -> Note | None:
    if not isinstance(payload, Mapping):
        return None
    read = payload.get(_READ)
    if field == "spec":
        return Note(said=payload["spec"] if "spec" in payload else _bare(payload, read), read=read)
    return Note(said={key: one for key, one in payload.items() if key != _READ}, read=read)


def _bare(payload: Json, read: Any) -> Any:
    return payload if read is None else ABSENT


def _of_single_fields(annotations: Json, field: str) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, path in _OLD[field].items():
        text = annotations.get(f"{GROUP}/{name}")
        value = text if name in _TEXTS else _parsed(text)
        if value is None:
            continue
        into = said
        for key in path[:-1]:
            into = into.setdefault(key, {})
        into[path[-1]] = value
    return said


def annotation(kind: str, field: str, kept: Kept) -> dict[str, str]:
    """Return the annotation that keeps it."""
    if field == "spec":
        payload = {"version": 1, "spec": kept.said, _READ: kept.read}
        payload = {key: one for key, one in payload.items() if one is not ABSENT}
    else:
        payload = {**kept.said, _READ: kept.read}
    return {f"{GROUP}/{kind}-{field}": json.dumps(payload, separators=(",", ":"), sort_keys=True)}


def _parsed(text: Any) -> Any:
    """Return what an annotation holds; None where no API server would take it for JSON."""
    try:
        found = json.loads(
            text, parse_constant=_finite, parse_float=_finite, parse_int=_whole_number
        )
    except (TypeError, ValueError, RecursionError):
        return None
    # The note has a spec one level down.
    return None if is_deeper(found, MOST_LEVELS + 1) else found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON")
    return number


def _whole_number(text: str) -> int:
    _finite(text)
    return int(text)


def _within(said: Any, read: Any) -> Any:
    """Return what of ``read`` stands where ``said`` says something."""
    if isinstance(said, Mapping) and isinstance(read, Mapping):
        return {key: _within(said[key], read[key]) for key in said if key in read}
    names, found = by_name(said), by_name(read)
    if names and found:
        return [_within(names[name], found[name]) for name in found if name in names]
    return read


def _filled(live: Any, said: Any) -> Any:
    """Return the live value with what it lacks of what was said about parts that are there."""
    if isinstance(live, Mapping) and isinstance(said, Mapping):
        both = {key: _filled(one, said[key]) if key in said else one for key, one in live.items()}
        return {**said, **both}
    entries, names = by_name(live), by_name(said)
    if entries and names:
        return [_filled(one, names.get(name, one)) for name, one in entries.items()]
    return live


def _without_blanks(value: Any) -> Any:
    """Return upstream's note less what stands there only because Go writes it."""
    if isinstance(value, list):
        return [_without_blanks(one) for one in value]
    if not isinstance(value, Mapping):
        return value
    parts = {key: _without_blanks(one) for key, one in value.items()}
    return {key: one for key, one in parts.items() if one not in ("", None, {})}
