"""How deep what users write may be nested: whoever reads it calls itself once a level or more."""

from collections.abc import Iterator, Mapping
from typing import Any

from dgdr_api.problem import Problem

# No pod template has a tenth of it.
MOST_LEVELS = 200
TOO_DEEP = (
    f"is nested more than {MOST_LEVELS} levels deep; make it flatter, or keep it as a text or in a "
    "ConfigMap"
)
# A path names its field long before it reaches what is too deep.
_NAMED_LEVELS = 8


def is_deeper(value: Any, levels: int = MOST_LEVELS) -> bool:
    """Whether maps and lists are within each other more often."""
    if not isinstance(value, Mapping | list):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(is_deeper(one, levels - 1) for one in inner)


def too_deep(manifest: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Return the fields of a spec that are nested too deeply, each by where its path begins."""
    paths = _deep_paths("spec", manifest.get("spec"), MOST_LEVELS)
    return tuple(Problem(path, None, TOO_DEEP, "Forbidden") for path in paths)


def _deep_paths(path: str, value: Any, levels: int) -> Iterator[str]:
    if not is_deeper(value, levels):
        return
    if levels == MOST_LEVELS - _NAMED_LEVELS:
        yield path
        return
    for name, one in _parts(value):
        yield from _deep_paths(path + name, one, levels - 1)


def _parts(value: Mapping[str, Any] | list[Any]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        return ((f".{name}", one) for name, one in value.items())
    return ((f"[{number}]", one) for number, one in enumerate(value))
