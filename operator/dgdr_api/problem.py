"""A thing that is wrong with what a user wrote."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where, what it holds (``None``: nothing), and what cures it.

    ``reason`` is the API server's word for it where it is neither a missing nor a wrong value.
    """

    field: str
    value: object
    message: str
    reason: str = ""

    def __str__(self) -> str:
        """Say it as the API server says it."""
        if self.reason:
            return f"{self.field}: {self.reason}: {self.message}"
        if self.value is None:
            return f"{self.field}: Required value: {self.message}"
        return f"{self.field}: Invalid value: {json.dumps(self.value, default=str)}: {self.message}"


def summary(problems: Iterable[Problem]) -> str:
    """Return one sentence for a condition."""
    return "; ".join(str(problem) for problem in problems)


def from_validation(error: ValidationError, prefix: str = "") -> tuple[Problem, ...]:
    """Return the errors of a model as problems, each with the path of its field."""
    return tuple(
        Problem(
            _path(prefix, entry["loc"]),
            None if entry["type"] == "missing" else entry["input"],
            f"{entry['msg'][0].lower()}{entry['msg'][1:]}",
        )
        for entry in error.errors()
    )


def _path(prefix: str, location: tuple[int | str, ...]) -> str:
    path = prefix
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path.lstrip(".")
