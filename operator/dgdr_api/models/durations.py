"""Durations as Kubernetes users write them: ``90s``, ``1h30m``, ``500ms``."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, JsonValue

from dgdr_api.models.cel import CelRule, extension

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """Return the seconds that a duration stands for.

    Raises:
        ValueError: the text is not a duration.
    """
    if not re.fullmatch(DURATION_PATTERN[1:-1], text):
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 5m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def _checked(text: str) -> str:
    duration_s(text)
    return text


DURATION_RULE = CelRule(
    expression=f"self.matches(r'{DURATION_PATTERN}')",
    message="is not a duration; write it like 30s, 5m or 1h30m",
)

Duration = Annotated[
    str,
    Field(max_length=32, json_schema_extra=extension(DURATION_RULE)),
    AfterValidator(_checked),
]
"""A length of time; ``duration_s`` reads it."""


def duration_of_at_least(
    shortest: str, message: str, longest: str | None = None
) -> dict[str, JsonValue]:
    """Return the schema extension of a duration that has a lower limit, and perhaps an upper."""
    written = f"!({DURATION_RULE.expression})"
    rules = [
        CelRule(
            expression=f"{written} || duration(self) >= duration('{shortest}')", message=message
        )
    ]
    if longest is not None:
        rules.append(
            CelRule(
                expression=f"{written} || duration(self) <= duration('{longest}')",
                message=f"is longer than {longest}",
            )
        )
    return extension(DURATION_RULE, *rules)
