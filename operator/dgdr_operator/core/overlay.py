"""A user's template over our defaults: the user wins, field by field and entry by entry."""

from collections.abc import Iterable, Mapping
from typing import Any

from dgdr_api.graph import Json


def overlay(ours: Json, theirs: Json) -> dict[str, Any]:
    """Merge mappings deeply; any other value of theirs replaces ours."""
    merged = dict(ours)
    for key, value in theirs.items():
        before = merged.get(key)
        both = isinstance(before, Mapping) and isinstance(value, Mapping)
        merged[key] = overlay(before, value) if both else value  # type: ignore[arg-type]
    return merged


def overlay_list(ours: Iterable[Json], theirs: Iterable[Json], key: str) -> list[dict[str, Any]]:
    """Append theirs to ours; an entry of theirs replaces the one of ours with the same key."""
    added = [dict(entry) for entry in theirs]
    taken = {entry.get(key) for entry in added}
    return [dict(entry) for entry in ours if entry.get(key) not in taken] + added
