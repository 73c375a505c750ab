"""What v1alpha1 says and v1beta1 has no words for: paths of what is kept, without effect."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dgdr_api.conversion.kept import by_name, kept, without
from dgdr_api.conversion.objects import KINDS

Path = tuple[str, ...]

_FIELD = "spec"
# Steps to a section: what is in one that has no words is not named one by one.
_SECTION = 3
# Each is tried by a conversion of the whole spec, and nobody reads more warnings.
MOST_TRIED = 30


@dataclass(frozen=True, slots=True)
class Unsaid:
    """Paths without effect; ``untried`` counts those of which nobody knows."""

    paths: tuple[str, ...] = ()
    untried: int = 0


def unsaid(manifest: Mapping[str, Any]) -> Unsaid:
    """Return the paths; a field that has other words in v1beta1 is none of them.

    Whether a field has an effect is tried: without it the object would be the same in v1beta1.
    """
    part = KINDS[str(manifest.get("kind"))].parts[0]
    spec = manifest.get(_FIELD)
    if not isinstance(spec, Mapping):
        return Unsaid()
    there = part.to_v1beta1(spec)
    left = kept(spec, part.to_v1alpha1(there))
    paths = () if left is None else tuple(_paths(left.said, left.read, ()))
    tried = paths[:MOST_TRIED]
    tries = ((path, part.to_v1beta1(without(spec, path))) for path in tried)
    found = tuple(_text(spec, path) for path, left_out in tries if left_out == there)
    return Unsaid(found, len(paths) - len(tried))


def _paths(said: Any, read: Any, path: Path) -> Iterator[Path]:
    absent = not isinstance(read, Mapping | list)
    if isinstance(said, Mapping) and absent and said and len(path) < _SECTION:
        read = {}
    if isinstance(said, Mapping) and isinstance(read, Mapping):
        yield from _entries(said, read, path)
        return
    names, found = by_name(said), by_name(read)
    if names is not None and found is not None:
        bare = {name: _nameless(entry) for name, entry in names.items()}
        yield from _entries(bare, found, path)
    elif (read is None or absent) and said not in (None, "", [], {}, False):
        yield path


def _nameless(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in entry.items() if key != "name"}


def _entries(said: Mapping[str, Any], read: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for key, value in said.items():
        yield from _paths(value, read.get(key), (*path, key))


def _text(spec: Mapping[str, Any], path: Path) -> str:
    """Return a path as users write it: an entry of a list stands in brackets."""
    value: Any = spec
    text = _FIELD
    for key in path:
        if isinstance(value, Mapping):
            text, value = f"{text}.{key}", value.get(key)
        else:
            text, value = f"{text}[{key}]", (by_name(value) or {}).get(key)
    return text
