"""Events of a planner: what it did and what keeps it from working, for ``kubectl describe``."""

from collections.abc import Iterator
from datetime import timedelta

from dgdr_api.conditions import find
from dgdr_api.models.base import Condition, ConditionStatus
from dgdr_api.models.sla_planner_status import DecisionRecord, SLAPlannerStatus
from dgdr_kube.ports import Event, ObjectRef, Severity
from dgdr_planner.tell.conditions import BUDGET_TROUBLES, ConditionType, Reason

REPORTER = "dgdr-planner"
_SHOWN = (
    ConditionType.METRICS_AVAILABLE,
    ConditionType.PROFILE_VALID,
    ConditionType.SLA_REACHABLE,
    ConditionType.BUDGET_FEASIBLE,
    ConditionType.READY,
)
# Ready repeats these; one Event is enough.
_TOLD_ELSEWHERE = frozenset({Reason.METRICS_UNAVAILABLE, Reason.PROFILE_INVALID, *BUDGET_TROUBLES})
# True of every deployment that starts, or whose frontends were not scraped often enough yet.
_USUAL_AT_FIRST = frozenset(
    {"NoSeries", "NoModel", "NoWorkerReady", "TooFewSamples", "FrontendsNotScraped"}
)
_PATIENT_INTERVALS = 3


def events_after(
    about: ObjectRef, old: SLAPlannerStatus, new: SLAPlannerStatus, interval_s: float
) -> Iterator[Event]:
    """Return the Events of a pass: a decision, and conditions that flipped.

    What every deployment lacks at first is told when it has lasted for three intervals. So that
    this happens once, the status has to be written whenever there is an Event.
    """
    if new.decisions[:1] != old.decisions[:1]:
        yield _decided(about, new.decisions[0])
    yield from _edits(about, old, new)
    yield from _flips(about, old, new, timedelta(seconds=_PATIENT_INTERVALS * interval_s))


def _decided(about: ObjectRef, decision: DecisionRecord) -> Event:
    return Event(
        about=about,
        reason=decision.reason,
        message=decision.message,
        action="Scale",
        reporter=REPORTER,
    )


def _edits(about: ObjectRef, old: SLAPlannerStatus, new: SLAPlannerStatus) -> Iterator[Event]:
    """Say when a number of somebody else's begins, and ends, to be left alone."""
    before = {role.role: role.yields_until for role in old.roles}
    for role in new.roles:
        until = before.get(role.role)
        if role.yields_until is not None and role.yields_until != until:
            limited = find(new.conditions, ConditionType.SCALING_LIMITED)
            told = limited.message if limited else f"{role.role} was set by somebody else"
            yield _warning(about, Reason.HAND_EDITED, told)
        elif role.yields_until is None and until is not None:
            told = f"{role.role} follows the load again"
            yield Event(
                about=about,
                reason="OwnedAgain",
                message=told,
                action="Plan",
                reporter=REPORTER,
            )


def _flips(
    about: ObjectRef, old: SLAPlannerStatus, new: SLAPlannerStatus, patience: timedelta
) -> Iterator[Event]:
    for condition in new.conditions:
        if condition.type not in _SHOWN or condition.reason in _TOLD_ELSEWHERE:
            continue
        known = find(old.conditions, condition.type)
        was_false = known is not None and known.status is ConditionStatus.FALSE
        is_false = condition.status is ConditionStatus.FALSE
        is_new = not (was_false and known and known.reason == condition.reason)
        if is_false and _is_due(condition, is_new, old, new, patience):
            yield _warning(about, condition.reason, condition.message)
        elif was_false and condition.is_true and condition.type != ConditionType.READY:
            yield Event(
                about=about,
                reason=condition.type,
                message=condition.message,
                action="Plan",
                reporter=REPORTER,
            )


def _is_due(
    condition: Condition,
    is_new: bool,
    old: SLAPlannerStatus,
    new: SLAPlannerStatus,
    patience: timedelta,
) -> bool:
    """Whether a trouble is to be told now: when it is new, or when patience with it ends."""
    if condition.reason not in _USUAL_AT_FIRST or new.observed is None or not new.observed.time:
        return is_new
    end = condition.last_transition_time + patience
    before = old.observed.time if old.observed else None
    if new.observed.time < end:
        return False
    return is_new or before is None or before < end


def _warning(about: ObjectRef, reason: str, message: str) -> Event:
    return Event(
        about=about,
        reason=reason,
        message=message,
        severity=Severity.WARNING,
        action="Plan",
        reporter=REPORTER,
    )
