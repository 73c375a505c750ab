"""What a planner that has just started may assume, from the status that the last one left."""

from datetime import datetime

from dgdr_api.graph import Role
from dgdr_api.models import sla_planner_status as api
from dgdr_planner.forecast import Demand
from dgdr_planner.limit.edits import Edit, Known
from dgdr_planner.limit.guards import History
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.observation import RoleSeen, TargetSeen
from dgdr_planner.observe.startup import Starts
from dgdr_planner.observe.value import Trouble
from dgdr_planner.policy import Policy
from dgdr_planner.size.cached import Cached
from dgdr_planner.size.correction import Correction
from dgdr_planner.state import Costs, State
from dgdr_planner.tell.status import REFRESH_S

# An idle planner writes every REFRESH_S, plus a pass; older than that it was not running.
RECENT_S = 1.5 * REFRESH_S


def state_of(
    status: api.SLAPlannerStatus,
    name: str,
    target: TargetSeen | Trouble,
    policy: Policy,
    now: datetime,
) -> State:
    """Return what a planner that has just started may assume; ``name`` is that of its target."""
    roles = () if isinstance(target, Trouble) else target.roles
    known = {Role(role.role): role for role in status.roles if role.role in policy.roles}
    recent = known if _is_recent(status, now) else {}
    costs = _costs(status.shadow, name, policy, now) if policy.shadow else None
    asked = costs.replicas if costs else {}
    return State(
        histories={
            seen.role: _history(seen, recent.get(seen.role), asked.get(seen.role), now)
            for seen in roles
        },
        demand=_demand(status, policy),
        starts=_starts(status),
        known={
            role: Known(told.replicas) for role, told in known.items() if told.replicas is not None
        },
        edits={
            seen.role: edit
            for seen in roles
            if (edit := _edit(seen, known.get(seen.role))) is not None
        },
        correction=_correction(status, policy),
        cached=Cached(share=(status.forecast and status.forecast.cached_share) or 0.0),
        costs=costs,
    )


def _history(
    seen: RoleSeen, before: api.RoleStatus | None, asked: int | None, now: datetime
) -> History:
    """Return what is known of a role; a shadow speaks of what it would have ``asked`` for."""
    # Only a statement about the number that is there now says anything about its future.
    same = before is not None and (asked is not None or before.replicas == seen.replicas)
    below_since = before.below_since if before and same else None
    return History.restored(seen.replicas if asked is None else asked, below_since, now)


def _edit(seen: RoleSeen, told: api.RoleStatus | None) -> Edit | None:
    if told is None or told.yields_until is None or told.replicas is None:
        return None
    return Edit(replicas=told.replicas, by=seen.writer or "", until=told.yields_until)


def _demand(status: api.SLAPlannerStatus, policy: Policy) -> Demand:
    """Return the last window that the status tells: above all, how long requests are."""
    told, forecast = status.observed, status.forecast
    if told is None or told.time is None or forecast is None:
        return Demand()
    sample = Sample(
        at_s=told.time.timestamp(),
        window_s=policy.interval_s,
        rate_per_s=told.requests_per_second,
        isl=told.isl or forecast.isl,
        osl=told.osl or forecast.osl,
    )
    return Demand.restored((sample,))


def _starts(status: api.SLAPlannerStatus) -> Starts:
    if status.startup_source is not api.StartupSource.MEASURED or status.startup_seconds is None:
        return Starts()
    return Starts(took_s=(float(status.startup_seconds),))


def _costs(told: api.Shadow | None, name: str, policy: Policy, now: datetime) -> Costs | None:
    """Return what a shadow counted of this target; a status of before did not name it."""
    if told is None or told.target not in (None, name):
        return None
    asked = {role: getattr(told, role.value) for role in policy.roles}
    return Costs(
        target=name,
        since=told.since,
        until=now,
        planned=told.gpu_hours,
        held=told.actual_gpu_hours,
        replicas={role: count for role, count in asked.items() if count is not None},
    )


def _is_recent(status: api.SLAPlannerStatus, now: datetime) -> bool:
    """Whether a planner wrote this status not long ago, rather than before a long absence."""
    told = status.observed.time if status.observed else None
    return told is not None and (now - told).total_seconds() <= RECENT_S


def _correction(status: api.SLAPlannerStatus, policy: Policy) -> Correction:
    return Correction(
        factors={
            Role(told.role): told.correction
            for told in status.capacity
            if told.correction is not None and told.role in policy.roles
        }
    )
