"""Between what the load needs and what is asked for: limits, steps, and patience going down.

Going up is immediate. Going down waits until no recommendation of the stabilisation window was
higher, as the HorizontalPodAutoscaler does: a moment of quiet is not a quiet time, and a replica
given up costs its start-up time when it is needed again.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from dgdr_planner.policy import Limits, Policy

# One pass may fail and be repeated; a longer silence is a time of which nothing is known.
TOLERATED_INTERVALS = 3.0


class Limit(StrEnum):
    """What kept a role from the number that the load needs."""

    MAXIMUM = "Maximum"
    MINIMUM = "Minimum"
    STEP_UP = "StepUp"
    STEP_DOWN = "StepDown"
    STABILIZING = "Stabilizing"
    STABILIZING_UP = "StabilizingUp"
    BUDGET = "Budget"
    """The GPUs of the budget."""
    RELEASE = "Release"
    """GPUs that are not free yet: their pods stop."""
    EDITED = "Edited"
    """Somebody else set the number."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """How many replicas the load needed, within the limits, up to a moment."""

    until: datetime
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Recommendations that still count, none of them older and lower than a later one.

    ``below_since`` says since when all of them were lower than the replicas that were there.
    ``rising`` are the same for going up: none of them is older and higher than a later one.
    """

    recent: tuple[Recommendation, ...] = ()
    below_since: datetime | None = None
    rising: tuple[Recommendation, ...] = ()

    @classmethod
    def restored(cls, replicas: int, below_since: datetime | None, now: datetime) -> "History":
        """Return what a restarted planner may assume.

        What was recommended since the last status is forgotten. It was at most what is there now,
        or less since ``below_since``; otherwise the planner would have scaled up.
        """
        if below_since is None:
            return cls(recent=(Recommendation(now, replicas),))
        known = (Recommendation(below_since, replicas), Recommendation(now, replicas - 1))
        return cls(recent=known, below_since=below_since)

    def highest(self) -> int:
        """Return the highest recommendation that still counts."""
        return max(entry.replicas for entry in self.recent)

    def lowest(self) -> int:
        """Return the lowest recommendation that still counts for going up."""
        return min(entry.replicas for entry in self.rising)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """Replicas to ask for, what limited them, and the history to keep."""

    replicas: int
    limit: Limit | None
    history: History


def guard(
    needed: int,
    current: int,
    limits: Limits,
    policy: Policy,
    history: History,
    now: datetime,
    *,
    step_from: int | None = None,
) -> Guarded:
    """Return the replicas to ask for when ``needed`` are needed and ``current`` are there.

    A step up counts from ``step_from``: what was there at the last tick. None: it is this one.
    """
    wanted = limits.clamp(needed)
    # The user's limits are orders: a number outside them is corrected at once.
    base = limits.clamp(current)
    gap_s = TOLERATED_INTERVALS * policy.interval_s
    kept = _with_recommendation(history, wanted, base, now, policy.stabilization_s, gap_s)
    kept = replace(kept, rising=_rising(history, wanted, base, now, policy.stabilization_up_s))
    start = base if step_from is None else min(limits.clamp(step_from), base)
    replicas, limit = _stepped(wanted, base, start, kept, policy)
    if limit is None and wanted != needed:
        limit = Limit.MAXIMUM if wanted < needed else Limit.MINIMUM
    return Guarded(replicas=replicas, limit=limit, history=kept)


def _stepped(
    wanted: int, base: int, start: int, history: History, policy: Policy
) -> tuple[int, Limit | None]:
    if wanted > base:
        steady = max(history.lowest(), base)
        most = steady if policy.max_step_up is None else max(start + policy.max_step_up, base)
        if steady > most:
            return most, Limit.STEP_UP
        return steady, Limit.STABILIZING_UP if steady < wanted else None
    floor = min(history.highest(), base)
    if wanted < floor == base:
        return base, Limit.STABILIZING
    least = 0 if policy.max_step_down is None else base - policy.max_step_down
    if floor < least:
        return least, Limit.STEP_DOWN
    return floor, Limit.STABILIZING if wanted < floor else None


def _with_recommendation(
    history: History, wanted: int, base: int, now: datetime, window_s: float, gap_s: float
) -> History:
    """Add a recommendation; drop those that are too old, or older and not higher."""
    horizon = now - timedelta(seconds=window_s)
    old, below_since = _until_now(history.recent, now), history.below_since
    if not old or now - old[-1].until > timedelta(seconds=gap_s):
        # Nobody knows what was needed meanwhile: no less than what was there.
        old, below_since = (*old, Recommendation(now, base)), None
    # The last one held until this moment, when it is replaced.
    old = (*old[:-1], replace(old[-1], until=now))
    kept = tuple(one for one in old if one.until > horizon and one.replicas > wanted)
    since = (below_since or now) if wanted < base else None
    return History(recent=(*kept, Recommendation(now, wanted)), below_since=since)


def _rising(
    history: History, wanted: int, base: int, now: datetime, window_s: float
) -> tuple[Recommendation, ...]:
    """Return the recommendations of the window for going up, each of them when it was made.

    Before the first one nothing more than what is there is known to have been needed.
    """
    horizon = now - timedelta(seconds=window_s)
    old = _until_now(history.rising, now) or (Recommendation(now, base),) if window_s > 0 else ()
    kept = tuple(one for one in old if one.until > horizon and one.replicas < wanted)
    return (*kept, Recommendation(now, wanted))


def _until_now(old: tuple[Recommendation, ...], now: datetime) -> tuple[Recommendation, ...]:
    """Take what was recommended under a clock that ran ahead, and was set back, for the newest."""
    return tuple(one if one.until <= now else replace(one, until=now) for one in old)
