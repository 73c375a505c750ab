"""Editing an engine's argument list, pure.

A flag may stand as ``--key value`` or ``--key=value``, with dashes or underscores, under several
names and several times, and a value may be missing. All forms are seen: a flag that is only half
removed silently wins over the one that was added. What a function does not own keeps its place, and
each function applied twice does what it does once.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dgdr_profiler.core.errors import InvalidRequest

Args = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag by the name that is written, with the other names that its parser knows."""

    name: str
    aliases: tuple[str, ...] = ()

    def __contains__(self, item: str) -> bool:
        """Whether an item of a list is this flag, with its value or without."""
        return _name(item) in {_name(known) for known in (self.name, *self.aliases)}


def flag(name: str, *aliases: str) -> Flag:
    """Return a flag."""
    return Flag(name, aliases)


def without(args: Sequence[str], *flags: Flag) -> Args:
    """Remove flags with their values, every occurrence in every form.

    The item after a flag is its value unless it is a flag itself; a negative number is a value.
    """
    groups = _groups(args)
    return _flat(group for group in groups if not any(group[0] in known for known in flags))


def with_value(args: Sequence[str], known: Flag, value: object) -> Args:
    """Set a flag: it stands once, where the first of its occurrences stood, else at the end."""
    return _replaced(args, known, (known.name, str(value)))


def with_default(args: Sequence[str], known: Flag, value: object) -> Args:
    """Set a flag unless it is there in any form."""
    return tuple(args) if has(args, known) else (*args, known.name, str(value))


def with_switch(args: Sequence[str], known: Flag, *opposites: Flag) -> Args:
    """Set a flag that has no value, and remove what says the opposite."""
    kept = _flat(
        # The item after a switch is no value of it.
        group[1:] if any(group[0] in opposite for opposite in opposites) else group
        for group in _groups(args)
    )
    return kept if has(kept, known) else (*kept, known.name)


def without_switch(args: Sequence[str], *switches: Flag) -> Args:
    """Remove flags that have no value."""
    return tuple(item for item in args if not any(item in known for known in switches))


def renamed(args: Sequence[str], old: str, new: str) -> Args:
    """Write a flag under its new name; its values, several perhaps, stay."""

    def other(item: str) -> str:
        key, equals, value = item.partition("=")
        return f"{new}{equals}{value}" if key == old else item

    return tuple(other(item) for item in args)


def has(args: Sequence[str], known: Flag) -> bool:
    """Whether the flag is there in any form."""
    return any(item in known for item in args)


def value_of(args: Sequence[str], known: Flag) -> str | None:
    """Return the value that an argument parser would take: the last one given."""
    found: str | None = None
    for group in _groups(args):
        if group[0] in known:
            _, equals, value = group[0].partition("=")
            found = value if equals else group[1] if len(group) > 1 else found
    return found


def degree(args: Sequence[str], known: Flag, default: int = 1) -> int:
    """Return a flag's value as a number of at least 1.

    Raises:
        InvalidRequest: it is none; only a user's argument can be.
    """
    text = value_of(args, known)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < 1:
        raise InvalidRequest(
            f"spec.overrides.dgd: {known.name} {text} must be a whole number of at least 1"
        )
    return int(text)


def _replaced(args: Sequence[str], known: Flag, wanted: Args) -> Args:
    groups = _groups(args)
    places = [index for index, group in enumerate(groups) if group[0] in known]
    if not places:
        return (*args, *wanted)
    return _flat(
        wanted if index == places[0] else () if index in places else group
        for index, group in enumerate(groups)
    )


def _groups(args: Sequence[str]) -> list[Args]:
    """Cut a list into flags with the item that may be their value, and into single items."""
    groups: list[Args] = []
    for item in args:
        takes_it = groups and len(groups[-1]) == 1 and _is_bare_flag(groups[-1][0])
        if takes_it and not _is_flag(item):
            groups[-1] = (*groups[-1], item)
        else:
            groups.append((item,))
    return groups


def _flat(groups: Iterable[Sequence[str]]) -> Args:
    return tuple(_items(groups))


def _items(groups: Iterable[Sequence[str]]) -> Iterator[str]:
    for group in groups:
        yield from group


def _is_flag(item: str) -> bool:
    """Whether an item is a flag, and no value or negative number."""
    return item.startswith("-") and not item.lstrip("-").replace(".", "", 1).isdigit()


def _is_bare_flag(item: str) -> bool:
    return _is_flag(item) and "=" not in item


def _name(item: str) -> str:
    """Return a flag's name; argument parsers of engines take underscores for dashes."""
    key = item.partition("=")[0]
    return key.replace("_", "-") if key.startswith("--") else key
