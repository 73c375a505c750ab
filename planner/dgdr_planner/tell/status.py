"""What the status says after a decision, and when that is worth a write."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.conditions import Condition, condition, find, says, with_condition
from dgdr_api.graph import Role
from dgdr_api.models import sla_planner_status as api
from dgdr_api.models.sla_planner_status import MAX_DECISIONS, SEEN, SLAPlannerStatus
from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.attainment import attained
from dgdr_planner.observe.observation import LoadSeen, Observation
from dgdr_planner.observe.value import Idle, Metric, Trouble, Unknown, Value, number
from dgdr_planner.plan import Decision, Plan, RolePlan
from dgdr_planner.policy import Policy
from dgdr_planner.state import State
from dgdr_planner.tell import explain
from dgdr_planner.tell.conditions import Statement, statements

# Live numbers are metrics; the status is written when something happens, and now and then.
REFRESH_S = 300.0
# Noise around a threshold moves ``belowSince`` to and fro; a restart needs it to the minute only.
BELOW_SINCE_REFRESH_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What became of a plan's changes: the roles whose number was written, or what went wrong.

    ``outdated`` means that somebody else wrote first: look again before deciding.
    """

    roles: frozenset[Role] = frozenset()
    trouble: Trouble | None = None
    outdated: bool = False


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
    for said in statements(seen, decision, policy, done.trouble):
        conditions = _with_statement(conditions, said, generation, now)
    plan = decision.outcome if isinstance(decision.outcome, Plan) else None
    record = _record(plan, policy, done, now) if plan else None
    starts = decision.state.starts
    measured = starts.measured_s is not None
    decisions = (record, *old.decisions)[:MAX_DECISIONS] if record else old.decisions
    attainment = _attainment(decision.state)
    roles = _roles(plan, policy, done, decision.state) if plan else old.roles
    return SLAPlannerStatus(
        observed_generation=generation,
        observed=_observed(seen, old, now),
        forecast=_forecast(plan.forecast, policy, decision.state) if plan else old.forecast,
        capacity=_capacity(plan) if plan else old.capacity,
        startup_seconds=round(starts.seconds),
        startup_source=api.StartupSource.MEASURED if measured else api.StartupSource.ASSUMED,
        attainment=attainment,
        shadow=_shadow(decision.state),
        summary=_summary(roles, attainment),
        roles=roles,
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
    steps = [role.replicas - role.current for role in changes]
    up, down = max(steps) > 0, min(steps) < 0
    word = "Rescale" if up and down else "ScaleUp" if up else "ScaleDown"
    done = {"Rescale": "Rescaled", "ScaleUp": "ScaledUp", "ScaleDown": "ScaledDown"}
    return f"Would{word}" if policy.shadow else done[word]


def _essence(status: SLAPlannerStatus) -> object:
    return (
        status.observed_generation,
        status.decisions,
        [(c.type, c.status, c.reason) for c in status.conditions],
        [
            (
                *(role.role, role.replicas, role.ready_replicas),
                *(role.desired_replicas, role.yields_until),
            )
            for role in status.roles
        ],
    )


def _below(status: SLAPlannerStatus) -> list[bool]:
    return [role.below_since is not None for role in status.roles]


def _with_statement(
    old: tuple[Condition, ...], said: Statement, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions with what a pass says; most passes say the same of most of them."""
    known, told = find(old, said.type), (said.status, said.reason, said.message)
    if known is not None and says(known, *told, generation):
        return old
    return with_condition(old, condition(said.type, *told, now, generation), now)


def _record(plan: Plan, policy: Policy, done: Done, now: datetime) -> api.DecisionRecord | None:
    changes = [role for role in plan.changed if role.seen.role in done.roles]
    if not changes:
        return None
    steps = {role.seen.role: _change(role) for role in changes}
    return api.DecisionRecord(
        time=now,
        reason=reason_for(changes, policy),
        message="; ".join(explain.change(role, plan.forecast, policy) for role in changes),
        prefill=steps.get(Role.PREFILL),
        decode=steps.get(Role.DECODE),
        worker=steps.get(Role.WORKER),
    )


def _change(role: RolePlan) -> api.Change:
    return api.Change.model_validate({"from": role.current, "to": role.replicas})


def _roles(plan: Plan, policy: Policy, done: Done, state: State) -> tuple[api.RoleStatus, ...]:
    written = frozenset() if policy.shadow else done.roles
    return tuple(
        api.RoleStatus(
            role=role.seen.role,
            component=role.seen.component,
            replicas=role.replicas if role.seen.role in written else role.seen.replicas,
            ready_replicas=role.seen.ready,
            terminating_replicas=role.seen.terminating or None,
            desired_replicas=role.needed,
            gpus_per_replica=role.seen.gpus_per_replica,
            below_since=_below_since(role, policy, state),
            yields_until=role.edit.until if role.edit else None,
        )
        for role in plan.roles
    )


def _below_since(role: RolePlan, policy: Policy, state: State) -> datetime | None:
    """Return since when fewer than what is asked for now have been enough; None: they are not."""
    wanted = policy.limits[role.seen.role].clamp(role.needed)
    return state.histories[role.seen.role].below_since if wanted < role.replicas else None


def _summary(
    roles: tuple[api.RoleStatus, ...], attainment: api.Attainment | None
) -> api.Summary | None:
    """Return what ``kubectl get`` shows; None where there is nothing to show."""
    met = (attainment.ttft, attainment.itl) if attainment else ()
    known = [share for share in met if share is not None]
    if not roles and not known:
        return None
    counts = {
        one.role: f"{_or_unknown(one.ready_replicas)}/{_or_unknown(one.desired_replicas)}"
        for one in roles
    }
    # Cut, not rounded: 99.96 % is not all of them.
    attained = f"{math.floor(1000 * min(known) + 1e-9) / 10:.1f}%" if known else None
    return api.Summary(attained=attained, **counts)


def _or_unknown(count: int | None) -> str:
    return "?" if count is None else str(count)


def _capacity(plan: Plan) -> tuple[api.Capacity, ...]:
    return tuple(
        api.Capacity(
            role=role.seen.role,
            needed=None if role.need is None else round(role.need, 2),
            latency_ms=_finite(role.answer.latency_ms),
            binding=role.answer.binding,
            in_range=role.answer.in_range,
            correction=round(role.factor, 2),
        )
        for role in plan.roles
        if role.answer is not None
    )


def _finite(latency_ms: float) -> float | None:
    return round(latency_ms, 1) if math.isfinite(latency_ms) else None


def _attainment(state: State) -> api.Attainment | None:
    found = attained(state.windows)
    if found is None:
        return None
    return api.Attainment(
        ttft=None if found.ttft is None else round(found.ttft, 4),
        itl=None if found.itl is None else round(found.itl, 4),
        requests=round(found.requests),
        since=found.since,
    )


def _shadow(state: State) -> api.Shadow | None:
    costs = state.costs
    if costs is None:
        return None
    return api.Shadow(
        target=costs.target,
        since=costs.since,
        gpu_hours=round(costs.planned, 3),
        actual_gpu_hours=round(costs.held, 3),
        prefill=costs.replicas.get(Role.PREFILL),
        decode=costs.replicas.get(Role.DECODE),
        worker=costs.replicas.get(Role.WORKER),
    )


def _observed(seen: Observation, old: SLAPlannerStatus, now: datetime) -> api.Observed:
    """Say what the last tick saw: what a look counts is not the load of an interval."""
    if seen.is_fast and old.observed is not None:
        return old.observed
    load = seen.load
    return api.Observed(
        time=now,
        knowledge=_knowledge(load.rate_per_s),
        requests_per_second=_rounded(load.rate_per_s, 2),
        isl=_rounded(load.isl, 0),
        osl=_rounded(load.osl, 0),
        isl_quantiles=_isl_quantiles(load),
        osl_quantiles=_osl_quantiles(load),
        ttft_ms=_rounded(load.ttft_ms, 1),
        itl_ms=_rounded(load.itl_ms, 2),
        frontends=load.frontends,
    )


def _isl_quantiles(load: LoadSeen) -> tuple[api.IslQuantile, ...] | None:
    if load.isl_quantiles is None:
        return None
    return tuple(
        api.IslQuantile(share=round(share, 4), isl=round(isl)) for share, isl in load.isl_quantiles
    )


def _osl_quantiles(load: LoadSeen) -> tuple[api.OslQuantile, ...] | None:
    if load.osl_quantiles is None:
        return None
    return tuple(
        api.OslQuantile(share=round(share, 4), osl=round(osl)) for share, osl in load.osl_quantiles
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


def _forecast(forecast: Forecast, policy: Policy, state: State) -> api.Forecast:
    return api.Forecast(
        requests_per_second=round(forecast.rate_per_s, 2),
        isl=None if forecast.isl is None else round(forecast.isl),
        osl=None if forecast.osl is None else round(forecast.osl),
        planned_requests_per_second=round(forecast.planned, 2),
        model=forecast.model,
        planned_by=forecast.planned_by or SEEN,
        quantile=policy.quantile,
        cached_share=round(state.cached.share, 3) or None,
        horizon_seconds=round(forecast.horizon_s),
    )
