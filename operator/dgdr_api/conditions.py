"""Conditions of a status: set one, find one.

``lastTransitionTime`` moves only when the status flips; a new reason or message under the same
status keeps it, so that it says since when something holds.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from dgdr_api.models.base import Condition, ConditionStatus

__all__ = [
    "READY",
    "Condition",
    "ConditionStatus",
    "Progress",
    "condition",
    "find",
    "says",
    "with_condition",
    "with_progress",
]

READY, RECONCILING, STALLED = "Ready", "Reconciling", "Stalled"


class Progress(StrEnum):
    """How an object stands for tools that know nothing of its kind (kstatus)."""

    DONE = "Done"
    UNDER_WAY = "UnderWay"
    """It is worked on, or waited for: nobody has to act."""
    STUCK = "Stuck"
    """It goes on when somebody has changed something."""


_WORDS = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}


def condition(
    type_: str,
    status: bool | None,
    reason: str,
    message: str,
    now: datetime,
    observed_generation: int | None = None,
) -> Condition:
    """Build a condition; a ``status`` of ``None`` is Unknown."""
    return Condition(
        type=type_,
        status=_WORDS[status],
        reason=reason,
        message=message,
        last_transition_time=now,
        observed_generation=observed_generation,
    )


def says(
    known: Condition,
    status: bool | None,
    reason: str,
    message: str,
    observed_generation: int | None = None,
) -> bool:
    """Whether a condition already says all of this, whatever its time."""
    return (
        known.status is _WORDS[status]
        and known.reason == reason
        and known.message == message
        and known.observed_generation == observed_generation
    )


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """Return the condition of that type."""
    return next((known for known in conditions if known.type == type_), None)


def with_condition(
    old: Iterable[Condition], new: Condition, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions with ``new`` in the place of the one of its type.

    The order of the others stays, so that an unchanged status compares equal.
    """
    before = tuple(old)
    known = find(before, new.type)
    if known is None or known.status is not new.status:
        dated = new.model_validate(new.model_dump() | {"last_transition_time": now})
    else:
        dated = new.model_copy(update={"last_transition_time": known.last_transition_time})
    if known is None:
        return (*before, dated)
    return tuple(dated if entry.type == new.type else entry for entry in before)


def with_progress(
    old: Iterable[Condition],
    progress: Progress,
    reason: str,
    message: str,
    now: datetime,
    generation: int,
) -> tuple[Condition, ...]:
    """Return the conditions with Ready, and Reconciling or Stalled beside it where it is False.

    Those two are there only while they hold: that is what kstatus expects of them, with Argo CD,
    Flux and ``kubectl wait`` behind it.
    """
    ready = condition(READY, progress is Progress.DONE, reason, message, now, generation)
    conditions = with_condition(old, ready, now)
    for type_, holds in (
        (RECONCILING, progress is Progress.UNDER_WAY),
        (STALLED, progress is Progress.STUCK),
    ):
        if holds:
            new = condition(type_, True, reason, message, now, generation)
            conditions = with_condition(conditions, new, now)
        else:
            conditions = tuple(known for known in conditions if known.type != type_)
    return conditions
