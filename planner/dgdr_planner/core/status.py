"""What the status says after a decision, and when that is worth a write."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.conditions import condition, with_condition
from dgdr_api.graph import Role
from dgdr_api.models import sla_planner as api
from dgdr_api.models.sla_planner import MAX_DECISIONS, SLAPlannerStatus
from dgdr_planner.core import explain
from dgdr_planner.core.decide import Decision, Plan, RolePlan, State
from dgdr_planner.core.forecast import Forecast
from dgdr_planner.core.guards import History
from dgdr_planner.core.observation import (
    Idle,
    LoadSeen,
    Metric,
    Observation,
    TargetSeen,
    Trouble,
    Unknown,
    Value,
    number,
)
from dgdr_planner.core.policy import Policy
from dgdr_planner.core.verdicts import verdicts

# Live numbers are metrics; the status is written when something happens, and now and then.
REFRESH_S = 300.0
# Noise around a threshold moves ``belowSince`` to and fro; a restart needs it to the minute only.
BELOW_SINCE_REFRESH_S = 60.0
# An idle planner writes every REFRESH_S, plus a pass; older than that it was not running.
RECENT_S = 1.5 * REFRESH_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a plan's changes: the roles whose number was written, or what went wrong.

    ``outdated`` means that somebody else wrote first: look again before deciding.
    """

    roles: frozenset[Role] = frozenset()
    trouble: Trouble | None = None
    outdated: bool = False


def state_of(status: SLAPlannerStatus, target: TargetSeen | Trouble, now: datetime) -> State:
    """Return what a planner that has just started may assume."""
    told = status.forecast
    forecast = Forecast(rate_per_s=0.0, isl=told.isl, osl=told.osl) if told else None
    if isinstance(target, Trouble):
        return State(forecast=forecast)
    known = {role.role: role for role in status.roles} if _is_recent(status, now) else {}
    histories = {}
    for seen in target.roles:
        before = known.get(seen.role)
        # Only a statement about the number that is there now says anything about its future.
        same = before is not None and before.replicas == seen.replicas
        since = before.below_since if before and same else None
        histories[seen.role] = History.restored(seen.replicas, since, now)
    return State(histories=histories, forecast=forecast)


def status_after(
    old: SLAPlannerStatus,
    seen: Observation,
    decision: Decision,
    policy: Policy,
    done: Done,
    generation: int,
    now: datetime,
) -> SLAPlannerStatus:
    """Return the status after a pass."""
    conditions = old.conditions
    for verdict in verdicts(seen, decision, policy, done.trouble):
        fresh = condition(
            verdict.type, verdict.status, verdict.reason, verdict.message, now, generation
        )
        conditions = with_condition(conditions, fresh, now)
    plan = decision.outcome if isinstance(decision.outcome, Plan) else None
    record = _record(plan, policy, done, old.decisions, now) if plan else None
    decisions = (record, *old.decisions)[:MAX_DECISIONS] if record else old.decisions
    return SLAPlannerStatus(
        observed_generation=generation,
        observed=_observed(seen.load, now),
        forecast=_forecast(plan.forecast) if plan else old.forecast,
        roles=_roles(plan, done, decision.state.histories) if plan else old.roles,
        decisions=decisions,
        conditions=conditions,
    )


def must_write(old: SLAPlannerStatus, new: SLAPlannerStatus, now: datetime) -> bool:
    """Whether the new status is worth a write."""
    if _essence(old) != _essence(new):
        return True
    written = old.observed.time if old.observed else None
    age_s = REFRESH_S if written is None else (now - written).total_seconds()
    if age_s >= REFRESH_S:
        return old != new
    return age_s >= BELOW_SINCE_REFRESH_S and _below(old) != _below(new)


def reason_for(changes: Iterable[RolePlan], policy: Policy) -> str:
    """Name a decision."""
    steps = [role.replicas - role.seen.replicas for role in changes]
    up, down = max(steps) > 0, min(steps) < 0
    word = "Rescale" if up and down else "ScaleUp" if up else "ScaleDown"
    done = {"Rescale": "Rescaled", "ScaleUp": "ScaledUp", "ScaleDown": "ScaledDown"}
    return f"Would{word}" if policy.shadow else done[word]


def _is_recent(status: SLAPlannerStatus, now: datetime) -> bool:
    """Whether a planner wrote this status not long ago, rather than before a long absence."""
    told = status.observed.time if status.observed else None
    return told is not None and (now - told).total_seconds() <= RECENT_S


def _essence(status: SLAPlannerStatus) -> object:
    return (
        status.observed_generation,
        status.decisions,
        [(c.type, c.status, c.reason) for c in status.conditions],
        [(role.role, role.replicas, role.ready_replicas) for role in status.roles],
    )


def _below(status: SLAPlannerStatus) -> list[bool]:
    return [role.below_since is not None for role in status.roles]


def _record(
    plan: Plan, policy: Policy, done: Done, known: tuple[api.DecisionRecord, ...], now: datetime
) -> api.DecisionRecord | None:
    changes = [role for role in plan.changed if role.seen.role in done.roles]
    if not changes:
        return None
    steps = {role.seen.role: _change(role) for role in changes}
    prefill, decode = steps.get(Role.PREFILL), steps.get(Role.DECODE)
    # A shadow decides the same again and again; only another number is news.
    if policy.shadow and known and (known[0].prefill, known[0].decode) == (prefill, decode):
        return None
    return api.DecisionRecord(
        time=now,
        reason=reason_for(changes, policy),
        message="; ".join(explain.change(role, plan.forecast, policy) for role in changes),
        prefill=prefill,
        decode=decode,
    )


def _change(role: RolePlan) -> api.Change:
    return api.Change.model_validate({"from": role.seen.replicas, "to": role.replicas})


def _roles(plan: Plan, done: Done, histories: Mapping[Role, History]) -> tuple[api.RoleStatus, ...]:
    return tuple(
        api.RoleStatus(
            role=role.seen.role,
            component=role.seen.component,
            replicas=role.replicas if role.seen.role in done.roles else role.seen.replicas,
            ready_replicas=role.seen.ready,
            desired_replicas=role.needed,
            gpus_per_replica=role.seen.gpus_per_replica,
            below_since=histories[role.seen.role].below_since,
        )
        for role in plan.roles
    )


def _observed(load: LoadSeen, now: datetime) -> api.Observed:
    return api.Observed(
        time=now,
        knowledge=_knowledge(load.rate_per_s),
        requests_per_second=_rounded(load.rate_per_s, 2),
        isl=_rounded(load.isl, 0),
        osl=_rounded(load.osl, 0),
        ttft_ms=_rounded(load.ttft_ms, 1),
        itl_ms=_rounded(load.itl_ms, 2),
        frontends=load.frontends,
    )


def _knowledge(metric: Metric) -> api.Knowledge:
    match metric:
        case Value():
            return api.Knowledge.VALUE
        case Idle():
            return api.Knowledge.IDLE
        case Unknown():
            return api.Knowledge.UNKNOWN


def _rounded(metric: Metric, digits: int) -> float | None:
    value = number(metric)
    return None if value is None else round(value, digits)


def _forecast(forecast: Forecast) -> api.Forecast:
    return api.Forecast(
        requests_per_second=round(forecast.rate_per_s, 2),
        isl=None if forecast.isl is None else round(forecast.isl),
        osl=None if forecast.osl is None else round(forecast.osl),
    )
