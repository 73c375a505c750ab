"""Editing an engine's argument list, pure.

A flag may stand as ``--key value`` or ``--key=value``, several times, and a value may be missing.
All forms are seen: a flag that is only half removed silently wins over the one that was added.
"""

from collections.abc import Sequence

Args = tuple[str, ...]


def without(args: Sequence[str], *flags: str) -> Args:
    """Remove flags with their values, every occurrence in either form.

    The item after a flag is its value unless it starts with a dash itself; a negative number
    counts as a value.
    """
    kept: list[str] = []
    drop_value = False
    for item in args:
        if drop_value and not _is_flag(item):
            drop_value = False
            continue
        drop_value = item in flags
        if not drop_value and item.partition("=")[0] not in flags:
            kept.append(item)
    return tuple(kept)


def with_value(args: Sequence[str], flag: str, value: object, *aliases: str) -> Args:
    """Set a flag: all occurrences of it and of its aliases are replaced by one."""
    return (*without(args, flag, *aliases), flag, str(value))


def with_switch(args: Sequence[str], flag: str, *opposites: str) -> Args:
    """Set a flag that has no value, and remove what says the opposite."""
    kept = tuple(item for item in args if item != flag and item not in opposites)
    return (*kept, flag)


def value_of(args: Sequence[str], flag: str) -> str | None:
    """Return the value that an argument parser would take: the last one given."""
    found: str | None = None
    for index, item in enumerate(args):
        key, equals, value = item.partition("=")
        if key != flag:
            continue
        if equals:
            found = value
        elif index + 1 < len(args) and not _is_flag(args[index + 1]):
            found = args[index + 1]
    return found


def _is_flag(item: str) -> bool:
    return item.startswith("-") and not item.lstrip("-").replace(".", "", 1).isdigit()
