"""Words that come back in another place: ``envs`` of a service as ``env`` of its main container.

What is edited where it came back is an edit of what was said in the place of old.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from dgdr_api.conversion.kept import ABSENT, alike, by_name

Path = tuple[str, ...]

_NAMED = (("components",), ("services",))
# Anybody can write a note, also one of thousands of values that are alike.
_MOST_ALIKE = 20


@dataclass(frozen=True, slots=True)
class Move:
    """Where something was said, and where it came back."""

    said: Path
    read: Path


class _Places:
    """Where each part came back; a part that was found is not found again."""

    def __init__(self, read: Any, said: Any) -> None:
        self._of: dict[tuple[Path, str], list[Path]] = {}
        self._taken: set[Path] = set()
        self._around: set[Path] = set()
        for root, value in _alone(read, said, ()):
            for path, part in _parts(value, root):
                self._of.setdefault(_known_by(path, part), []).append(path)

    def take(self, path: Path, value: Any) -> Path | None:
        """Return the nearest place of a part that was said at a path; None where there is none."""
        alike_ones = self._of.get(_known_by(path, value), [])
        free = [one for one in alike_ones[:_MOST_ALIKE] if self._is_free(one)]
        alike_ones[:_MOST_ALIKE] = free  # what is taken never becomes free again
        if not free:
            return None
        nearest = max(free, key=lambda one: _common(one, path))
        self._taken.add(nearest)
        self._around.update(nearest[:length] for length in range(len(nearest)))
        return nearest

    def _is_free(self, path: Path) -> bool:
        within = (path[:length] for length in range(len(path) + 1))
        return path not in self._around and not any(one in self._taken for one in within)


def moves(said: Any, read: Any) -> tuple[Move, ...]:
    """Return what was said in one place and came back alike in another of the same component."""
    places = _Places(read, said)
    found = (_moved_from(value, root, places) for root, value in _alone(said, read, ()))
    return tuple(chain.from_iterable(found))


def moved(value: Any, said: Any, found: Sequence[Move]) -> Any:
    """Return a value with what came back in the places of old."""
    for move in found:
        part = at(value, move.read)
        if part is not ABSENT:
            value = _put(_pruned(value, move.read), said, move.said, part)
    return value


def at(value: Any, path: Path) -> Any:
    """Return what stands at a path, through objects and lists of named entries."""
    for key in path:
        inside = value if isinstance(value, Mapping) else by_name(value) or {}
        value = inside.get(key, ABSENT)
    return value


def _alone(one: Any, other: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Return what stands where the other has nothing."""
    if other is ABSENT:
        yield path, one
    elif pair := alike(one, other):
        for key, part in pair[0].items():
            yield from _alone(part, pair[1].get(key, ABSENT), (*path, key))


def _parts(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if value not in (None, {}, []) and path[-1:] != ("name",):
        yield path, value
    for key, part in _inside(value).items():
        yield from _parts(part, (*path, key))


def _inside(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else by_name(value) or {}


def _known_by(path: Path, value: Any) -> tuple[Path, str]:
    """Return by what a part is known again: what is short, by its key too."""
    known = value if isinstance(value, Mapping | list) else [path[-1:], value]
    return part_of(path), json.dumps(known, sort_keys=True)


def part_of(path: Path) -> Path:
    """Return the component of a place; all places of what has none are one part."""
    return path[1:2] if path[:1] in _NAMED else ()


def _moved_from(value: Any, path: Path, places: _Places) -> Iterator[Move]:
    there = places.take(path, value)
    if there is not None:
        yield Move(path, there)
        return
    for key, part in _inside(value).items():
        yield from _moved_from(part, (*path, key), places)


def _common(one: Path, other: Path) -> int:
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _pruned(value: Any, path: Path) -> Any:
    """Return a value less what stands at a path, and less what is empty without it."""
    inside = dict(_inside(value))
    inside[path[0]] = _pruned(inside[path[0]], path[1:]) if path[1:] else ABSENT
    left = {key: part for key, part in inside.items() if part is not ABSENT}
    if not left:
        return ABSENT
    return left if isinstance(value, Mapping) else [*left.values()]


def _put(value: Any, like: Any, path: Path, part: Any) -> Any:
    """Return a value with a part at a path; what is not there is made as it is in ``like``."""
    if not path:
        return part
    inside = dict(_inside(value))
    inside[path[0]] = _put(inside.get(path[0], ABSENT), _inside(like).get(path[0]), path[1:], part)
    return [*inside.values()] if isinstance(like, list) else inside
