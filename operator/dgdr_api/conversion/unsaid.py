"""What an object says and the other version cannot: paths of what is kept, without effect there."""

from collections.abc import Iterator, Mapping
from typing import Any

from dgdr_api.conversion.kept import by_name
from dgdr_api.conversion.notes import taken
from dgdr_api.conversion.objects import KINDS

_FIELD = "spec"
# Dots in the path of a section: what is in one that has no words is not named one by one.
_SECTION = 3


def unsaid(converted: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths, in the words of the version that a converted object comes from.

    A field that has other words in the other version is none of them: only what has no words.
    """
    kind = KINDS[str(converted.get("kind"))]
    metadata = converted.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    note, _ = taken(annotations or {}, kind.short, _FIELD)
    return () if note is None else tuple(_paths(note.said, note.read, _FIELD))


def _paths(said: Any, read: Any, path: str) -> Iterator[str]:
    if isinstance(said, Mapping) and read is None and said and path.count(".") < _SECTION:
        read = {}
    if isinstance(said, Mapping) and isinstance(read, Mapping):
        yield from _entries(said, read, lambda key: f"{path}.{key}")
        return
    names, found = by_name(said), by_name(read)
    if names is not None and found is not None:
        yield from _entries(names, found, lambda name: f"{path}[{name}]")
    elif read is None and said not in (None, "", [], {}, False):
        yield path


def _entries(said: Mapping[str, Any], read: Mapping[str, Any], at: Any) -> Iterator[str]:
    for key, value in said.items():
        yield from _paths(value, read.get(key), at(key))
