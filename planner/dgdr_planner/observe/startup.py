"""How long a replica takes from being asked for to being ready, measured on this deployment.

Only numbers are watched, not pods, so that it works the same in the controller and in a rehearsal:
whenever more replicas are wanted, waiting starts; whenever more are ready, the longest wait ends.
The ends are known to the interval only, so the middle between two looks is taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median

from dgdr_api.graph import Role
from dgdr_planner.observe.observation import RoleSeen

# Until one start was seen: operators report 100 to 110 s for small models. Too long orders a little
# early; too short is late on the first rise.
ASSUMED_S = 120.0
# The median of the last few: one slow image pull is not the rule, and nodes do change.
REMEMBERED = 5
# What is not ready by then waits for something else, such as a GPU.
LONGEST_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleStarts:
    """One role: what was seen last and since when, and since when replicas have been waited for."""

    replicas: int
    ready: int
    since: datetime
    waiting: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Starts seen so far; ``took_s`` are the last times to start, oldest first."""

    roles: Mapping[Role, RoleStarts] = field(default_factory=dict)
    took_s: tuple[float, ...] = ()
    at: datetime | None = None

    @property
    def measured_s(self) -> float | None:
        """Seconds that a start takes; None as long as none was seen."""
        return median(self.took_s) if self.took_s else None

    @property
    def seconds(self) -> float:
        """Seconds that a start takes, assumed as long as none was seen."""
        return ASSUMED_S if self.measured_s is None else self.measured_s

    def is_settled(self, role: Role, window_s: float, now: datetime) -> bool:
        """Whether the role's replicas are all ready, and did not change in the window."""
        known = self.roles.get(role)
        return (
            known is not None
            and known.ready == known.replicas > 0
            and (now - known.since).total_seconds() >= window_s
        )


def with_sight(starts: Starts, roles: Iterable[RoleSeen], now: datetime) -> Starts:
    """Return the starts after one more look; without a role where nobody reports what is ready."""
    before = starts.at or now
    known, took_s = {}, starts.took_s
    for seen in roles:
        if seen.ready is None:
            continue
        old = starts.roles.get(seen.role) or RoleStarts(
            replicas=seen.replicas, ready=seen.ready, since=now
        )
        fresh, ended = _looked(old, seen, seen.ready, before, now)
        known[seen.role] = fresh
        took_s = (*took_s, *ended)[-REMEMBERED:]
    return Starts(roles=known, took_s=took_s, at=now)


def _looked(
    old: RoleStarts, seen: RoleSeen, ready: int, before: datetime, now: datetime
) -> tuple[RoleStarts, list[float]]:
    """Return what is waited for now, and how long the replicas took that became ready."""
    started = max(seen.replicas - old.replicas, 0)
    waiting = [since for since in old.waiting if (now - since).total_seconds() <= LONGEST_S] + [
        before
    ] * started
    arrived = min(max(ready - old.ready, 0), len(waiting))
    # Somewhere between the last look and this one.
    half_s = (now - before).total_seconds() / 2
    ended = [max((now - since).total_seconds() - half_s, 0.0) for since in waiting[:arrived]]
    # What is wanted no more never becomes ready; the newest are given up first.
    left = waiting[arrived:][: max(seen.replicas - ready, 0)]
    same = (old.replicas, old.ready) == (seen.replicas, ready) and not seen.terminating
    since = old.since if same else now
    fresh = RoleStarts(replicas=seen.replicas, ready=ready, since=since, waiting=tuple(left))
    return fresh, ended
