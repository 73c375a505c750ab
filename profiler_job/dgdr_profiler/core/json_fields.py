"""Fields of a JSON object that somebody else wrote: of the expected kind, or as if not there."""

import math
from collections.abc import Mapping
from typing import Any

from dgdr_profiler.core.errors import InvalidRequest

Json = Mapping[str, Any]

_LARGEST = 10**15


def whole(config: Json, *names: str) -> int | None:
    """Return the first field that is there; zero and null say nothing.

    A list has a number for each layer. Equal ones are one number, others are unknown: the largest
    would count every layer for too much, and a mean divides as none of them does.

    Raises:
        InvalidRequest: that field is no whole number, or a number that no model has.
    """
    for name in names:
        value = config.get(name)
        if isinstance(value, list):
            if not all(type(each) is int and each == value[0] for each in value):
                return None
            value = next(iter(value), None)
        if value is None or (value == 0 and not isinstance(value, bool)):
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < _LARGEST:
            raise InvalidRequest(
                f"config.json: {name} is {value!r}, but must be a whole number of at least 1"
            )
        return value
    return None


def number(config: Json, name: str) -> float | None:
    """Return a finite number above zero, else None."""
    value = config.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < _LARGEST and math.isfinite(value) else None


def nested(config: Json, *names: str) -> Json:
    """Return the first object under one of the names, else an empty one."""
    found = (config.get(name) for name in names)
    return next((value for value in found if value and isinstance(value, Mapping)), {})


def items(config: Json, name: str) -> list[Any]:
    """Return the list under a name, else an empty one."""
    value = config.get(name)
    return value if isinstance(value, list) else []


def text(config: Json, *names: str) -> str | None:
    """Return the first text under one of the names."""
    found = (config.get(name) for name in names)
    return next((value for value in found if value and isinstance(value, str)), None)
