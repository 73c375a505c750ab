"""What one version says and the other cannot, kept beside the object and put back later.

A conversion ``to`` loses; so does the way back, ``fro``. ``kept`` compares what was said with what
comes back, ``fro(to(said))``, and holds both where they differ. Whoever converts the object back
has ``live``, which is ``fro`` of the object as it is then, and merges three ways: where ``live`` is
still what came back, nobody has edited that part, and the words of old are put back; elsewhere the
edit wins. So a round trip changes nothing, and an edit changes what it edits.

Lists whose entries all have names of their own are compared by name, other lists as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


class _Absent:
    """A field that is not there, which null is not."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True)
class Kept:
    """Both sides of what differs: ``said`` by the user, ``read`` as it came back."""

    said: Any
    read: Any


def kept(said: Any, read: Any) -> Kept | None:
    """Return what differs; None where nothing does."""
    if same(said, read):
        return None
    pair = alike(said, read)
    if pair is None:
        return Kept(said, read)
    found = {
        key: part
        for key in dict.fromkeys((*pair[0], *pair[1]))
        if (part := kept(pair[0].get(key, ABSENT), pair[1].get(key, ABSENT)))
    }
    if not isinstance(said, Mapping):
        return Kept(_entries(pair[0], found, "said"), _entries(pair[1], found, "read"))
    return Kept(_side(found, "said"), _side(found, "read"))


def restored(said: Any, read: Any, live: Any) -> Any:
    """Return ``live`` with the words that were ``said``, where it is still what was ``read``."""
    if isinstance(said, _Absent) and isinstance(read, _Absent):
        return live
    if same(live, read):
        return said
    if said is ABSENT and isinstance(read, Mapping) and isinstance(live, Mapping) and live:
        # What came back of nothing goes; what was put beside it stays.
        return _restored_map({}, read, live) or ABSENT
    if isinstance(live, Mapping) and isinstance(said, Mapping):
        return _restored_map(said, read if isinstance(read, Mapping) else {}, live)
    lists = [by_name(one) for one in (said, [] if read is ABSENT else read, live)]
    if any(one is None for one in lists):
        return live
    return _restored_list(*(one or {} for one in lists))


def _restored_map(said: Mapping[str, Any], read: Mapping[str, Any], live: Mapping[str, Any]) -> Any:
    merged = {
        key: restored(said.get(key, ABSENT), read.get(key, ABSENT), live.get(key, ABSENT))
        for key in dict.fromkeys((*live, *said))
    }
    return {key: value for key, value in merged.items() if value is not ABSENT}


def _restored_list(said: dict[str, Any], read: dict[str, Any], live: dict[str, Any]) -> list[Any]:
    order = said if _is_said_order(said, read, live) else live
    merged = _restored_map(said, read, live)
    # An entry that was edited stays whole: a part of it would not even have its name.
    merged |= {n: live[n] for n in live if n not in said and not same(live[n], read.get(n, ABSENT))}
    return [merged[name] for name in dict.fromkeys((*order, *live, *said)) if name in merged]


def _is_said_order(
    said: Mapping[str, Any], read: Mapping[str, Any], live: Mapping[str, Any]
) -> bool:
    """Whether the order of old holds: nobody has moved an entry that a conversion put elsewhere."""
    if list(read) == list(live):
        return True
    as_read = [name for name in read if name in live and name in said]
    as_live = [name for name in live if name in read and name in said]
    as_said = [name for name in said if name in read and name in live]
    return as_live == as_read != as_said


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def alike(said: Any, read: Any) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
    """Return both as maps; None where they can only be kept whole."""
    if isinstance(said, Mapping) and isinstance(read, Mapping):
        return said, read
    named = by_name(said), by_name(read)
    return None if named[0] is None or named[1] is None else (named[0], named[1])


def by_name(entries: Any) -> dict[str, Any] | None:
    """Return the entries of a list by their names; None where they do not all have one."""
    if not isinstance(entries, list):
        return None
    names = [entry.get("name") if isinstance(entry, Mapping) else None for entry in entries]
    texts = [name for name in names if isinstance(name, str)]
    if len(set(texts)) < len(entries):
        return None
    return dict(zip(texts, entries, strict=True))


def without(value: Any, path: tuple[str, ...]) -> Any:
    """Return a value less what stands at a path."""
    key, rest = path[0], path[1:]
    if isinstance(value, Mapping):
        inner = {key: without(value[key], rest)} if rest and key in value else {}
        return {k: inner.get(k, one) for k, one in value.items() if k != key or rest}
    entries = by_name(value)
    if entries is None or key not in entries:
        return value
    return [
        without(one, rest) if name == key else one
        for name, one in entries.items()
        if name != key or rest
    ]


def _side(found: Mapping[str, Kept], side: str) -> dict[str, Any]:
    parts = {key: getattr(part, side) for key, part in found.items()}
    return {key: part for key, part in parts.items() if part is not ABSENT}


def _entries(whole: Mapping[str, Any], found: Mapping[str, Kept], side: str) -> list[Any]:
    """Return the entries of a named list in their order, each with its name and what differs."""
    parts = {name: getattr(found[name], side) if name in found else {} for name in whole}
    return [
        {"name": name, **part} if isinstance(part, Mapping) else whole[name]
        for name, part in parts.items()
    ]
