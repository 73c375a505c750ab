"""What of ``features.planner`` comes to nothing, in words: a misspelt key has the default apply."""

from collections.abc import Iterator
from difflib import get_close_matches

from pydantic import AliasChoices

from dgdr_api.graph import Json
from dgdr_api.planner_config import (
    ANSWERED_ELSEWHERE,
    FIELD,
    MODES,
    WITHOUT_EFFECT,
    PlannerKeys,
    parse_planner_config,
)

LIST = "docs/kinds/dgdr.md lists the keys"


def planner_notes(config: Json) -> tuple[str, ...]:
    """Return a sentence for each key that has no effect as it is given."""
    read = parse_planner_config(config)
    return (*_unknown(read.unknown), *_without_effect(read.keys, read.without_effect))


def known_keys() -> tuple[str, ...]:
    """Return the keys that have an effect, all spellings."""
    return tuple(
        spelling
        for name, field in PlannerKeys.model_fields.items()
        for spelling in _spellings(name, field.validation_alias)
    )


def _spellings(name: str, alias: object) -> tuple[str, ...]:
    if isinstance(alias, AliasChoices):
        return tuple(choice for choice in alias.choices if isinstance(choice, str))
    return (name,)


def _unknown(keys: tuple[str, ...]) -> Iterator[str]:
    every = (*known_keys(), *WITHOUT_EFFECT, *ANSWERED_ELSEWHERE)
    for key in keys:
        near = get_close_matches(key, every, n=1)
        cure = f"did you mean {near[0]}?" if near else LIST
        yield f"{FIELD}.{key} is unknown and has no effect; {cure}"


def _without_effect(keys: PlannerKeys, names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if name == "mode":
            yield f"{FIELD}.mode {keys.mode} is none of {', '.join(MODES)}; {MODES[0]} applies"
        else:
            yield f"{FIELD}.{name} has no effect as it is given; {LIST}"
