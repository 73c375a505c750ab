"""Durations as Kubernetes users write them: ``90s``, ``1h30m``, ``500ms``."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def duration_s(text: str) -> float:
    """Return the seconds that a duration stands for.

    Raises:
        ValueError: the text is not a duration.
    """
    if not re.match(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration; write it like 30s, 5m or 1h30m")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text))


def _checked(text: str) -> str:
    duration_s(text)
    return text


Duration = Annotated[str, AfterValidator(_checked), Field(pattern=DURATION_PATTERN, max_length=32)]
"""A length of time; ``duration_s`` reads it."""
