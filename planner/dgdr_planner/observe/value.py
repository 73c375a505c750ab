"""The three things that a metric can be.

*Value*: fresh samples say a number. *Idle*: fresh samples say that nothing happened. *Unknown*:
nobody knows, and the cause says why. Unknown is never read as zero.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """Fresh samples say this number; the unit is in the name of the field that holds it."""

    number: float


@dataclass(frozen=True, slots=True)
class Idle:
    """Fresh samples say that nothing happened."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows. ``reason`` is one CamelCase word, ``cause`` a sentence for users."""

    reason: str
    cause: str


Metric = Value | Idle | Unknown


NOT_MEASURED = Unknown("NotMeasured", "nobody measured it")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why something that a decision needs cannot be used."""

    reason: str
    message: str


def number(metric: Metric) -> float | None:
    """Return the number of a value; None when idle or unknown."""
    return metric.number if isinstance(metric, Value) else None
