"""The decision: how many replicas each role should have now, or why nothing may change.

The same function runs in the controller and wherever decisions are rehearsed: it sees values,
knows no clock, and returns what happened together with what it must remember.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import SizingPolicy, WhenUnreachable
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.forecast import Demand, Forecast, forecaster_for
from dgdr_planner.limit import budget
from dgdr_planner.limit.edits import Edit
from dgdr_planner.limit.guards import Guarded, History, Limit, guard
from dgdr_planner.observe.budget import BudgetSeen, Claim
from dgdr_planner.observe.looks import Look, lately
from dgdr_planner.observe.observation import LoadSeen, Observation, RoleSeen, TargetSeen
from dgdr_planner.observe.unfinished import with_unfinished
from dgdr_planner.observe.value import Idle, Trouble, Unknown, number
from dgdr_planner.plan import Decision, Plan, RolePlan
from dgdr_planner.policy import Policy
from dgdr_planner.size.backlog import Backlog, backlog, with_backlog
from dgdr_planner.size.cached import Cached, cached_after, with_cached
from dgdr_planner.size.classic import classic_needs
from dgdr_planner.size.correction import correction as correction_after
from dgdr_planner.size.curves import RoleSizing, observed, size_role, unlike
from dgdr_planner.size.need import Advice, beyond_most, replicas_needed
from dgdr_planner.state import State, with_look, with_plan


class Forecasts(Protocol):
    """What looks ahead; see ``forecast.forecaster.Forecaster``."""

    def forecast(
        self, demand: Demand, horizon_s: float, quantile: float, model: str
    ) -> Forecast | Unknown:
        """Return the load that starts to be served in ``horizon_s`` seconds."""
        ...


def decide(
    seen: Observation,
    profile: EngineProfile | Trouble,
    policy: Policy,
    state: State,
    now: datetime,
    *,
    forecaster: Forecasts | None = None,
) -> Decision:
    """Choose the replicas of all roles; what is not known changes nothing.

    Without a ``forecaster`` the one looks ahead that the policy names.
    """
    if not seen.is_fast:
        load = with_unfinished(seen.load, seen.looks, now.timestamp())
        seen = replace(seen, load=load)
    state = with_look(state, seen, policy, now)
    ready = _ready(seen, profile, policy, state, now, forecaster)
    if isinstance(ready, Trouble):
        correction = replace(state.correction, late=frozenset())
        state = replace(state, correction=correction, is_held=True)
        return Decision(outcome=ready, state=state, claim=_standing(seen, policy))
    state = replace(state, forecast=ready.forecast, is_held=False)
    if not seen.is_fast:
        state = replace(state, cached=_cached(seen, ready, state, now))
    seen = replace(seen, load=with_cached(seen.load, state.cached))
    if not seen.is_fast:
        found = correction_after(
            state.correction, state.starts, seen.load, ready.profile, ready.forecast, policy, now
        )
        state = replace(state, correction=found)
    drafts = tuple(
        _draft(ready.target.role(role), seen, ready, policy, state, now) for role in policy.roles
    )
    state = replace(
        state,
        histories={draft.role: draft.guarded.history for draft in drafts},
        near_needs={draft.role: draft.near_needs for draft in drafts},
        backlogs={draft.role: draft.backlog for draft in drafts if draft.backlog},
        ticked=state.ticked if seen.is_fast else {one.role: one.current for one in drafts},
    )
    gpus = _budgeted(drafts, seen, policy, state)
    if gpus.infeasible is not None:
        outcome: Plan | Trouble = Trouble("BudgetInfeasible", gpus.infeasible)
        return Decision(outcome=outcome, state=replace(state, is_held=True), claim=gpus.claim)
    roles = tuple(_planned(draft, gpus, state, policy) for draft in drafts)
    state = with_plan(state, {role.seen.role: role.replicas for role in roles})
    outcome = Plan(
        forecast=ready.forecast,
        roles=roles,
        share_gpus=gpus.share,
        unlike=unlike(ready.profile, ready.target),
    )
    return Decision(outcome=outcome, state=state, claim=gpus.claim)


@dataclass(frozen=True, slots=True)
class _Ready:
    target: TargetSeen
    profile: EngineProfile
    forecast: Forecast
    classic: Mapping[Role, int] | None = None


def _ready(
    seen: Observation,
    profile: EngineProfile | Trouble,
    policy: Policy,
    state: State,
    now: datetime,
    forecaster: Forecasts | None,
) -> _Ready | Trouble:
    if seen.hold is not None:
        return seen.hold
    if policy.suspended:
        return Trouble("Suspended", "spec.suspend is true: replicas stay as they are")
    if isinstance(seen.target, Trouble):
        return seen.target
    if isinstance(profile, Trouble):
        return profile
    if isinstance(seen.budget, Trouble):
        return seen.budget
    if isinstance(seen.load.rate_per_s, Unknown):
        return Trouble(seen.load.rate_per_s.reason, seen.load.rate_per_s.cause)
    forecast = _forecast(seen, policy, state, now, forecaster)
    if isinstance(forecast, Unknown):
        return Trouble(forecast.reason, forecast.cause)
    if policy.sizing is not SizingPolicy.CLASSIC or forecast.planned <= 0:
        return _Ready(seen.target, profile, forecast)
    classic = classic_needs(profile, forecast, seen.target, seen.load, policy)
    if isinstance(classic, Trouble):
        return classic
    return _Ready(seen.target, profile, forecast, classic)


def _forecast(
    seen: Observation,
    policy: Policy,
    state: State,
    now: datetime,
    forecaster: Forecasts | None,
) -> Forecast | Unknown:
    """Return what this tick, or the last one, plans for, raised by what fast looks show."""
    found = state.forecast if seen.is_fast else _ticked(seen, policy, state, forecaster)
    if found is None:
        return Unknown("NoForecast", "nothing was planned for yet")
    if isinstance(found, Unknown) or policy.sizing is SizingPolicy.CLASSIC or _is_quiet(seen):
        return found
    return found.raised_by(lately(seen.looks, now.timestamp()), policy.quantile)


def _is_quiet(seen: Observation) -> bool:
    """Whether nothing comes: neither in the tick's window nor in the last look."""
    looked = seen.looks[-1].rate_per_s if seen.looks else 0.0
    return isinstance(seen.load.rate_per_s, Idle) and looked <= 0.0


def _ticked(
    seen: Observation, policy: Policy, state: State, forecaster: Forecasts | None
) -> Forecast | Unknown:
    """Look ahead by the time to start a replica: what is ordered now serves from then on.

    While the target is idle nothing is planned for, whatever may come: quiet shrinks. And nobody
    has to know how long requests are of which there is none.
    """
    able = forecaster or forecaster_for(policy.forecast_model)
    if isinstance(able, Unknown):
        return able
    horizon_s = state.starts.seconds
    found = able.forecast(state.demand, horizon_s, policy.quantile, policy.forecast_model)
    rate = seen.load.rate_per_s
    if isinstance(found, Unknown):
        return found if number(rate) else Forecast(rate_per_s=0.0, horizon_s=horizon_s)
    if isinstance(rate, Idle):
        return replace(found, planned_rate_per_s=0.0, hold_rate_per_s=0.0)
    return found


def _cached(seen: Observation, ready: _Ready, state: State, now: datetime) -> Cached:
    known = observed(ready.forecast, seen.load)
    return cached_after(state.cached, seen.load, ready.profile, known, now)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """One role before GPUs are counted."""

    seen: RoleSeen
    current: int
    sized: RoleSizing | None
    needed: int
    guarded: Guarded
    near_needs: tuple[float, ...]
    fewest: int
    backlog: Backlog | None

    @property
    def role(self) -> Role:
        return self.seen.role


def _draft(
    there: RoleSeen, seen: Observation, ready: _Ready, policy: Policy, state: State, now: datetime
) -> _Draft:
    role, limits = there.role, policy.limits[there.role]
    current = state.costs.replicas.get(role, there.replicas) if state.costs else there.replicas
    advised = _advised(role, current, seen, ready, policy, state, now)
    found, advice = advised.sized, advised.advice
    needed = advice.replicas
    if ready.classic is None and found is not None and needed == limits.most:
        needed = beyond_most(needed, found.need)
    return _Draft(
        seen=there,
        current=current,
        sized=found,
        needed=needed,
        guarded=_guarded(role, needed, current, seen, policy, state, now),
        near_needs=state.near_needs.get(role, ()) if seen.is_fast else advice.near,
        fewest=limits.fewest,
        backlog=advised.backlog,
    )


@dataclass(frozen=True, slots=True)
class _Advised:
    """What a role needs before any limit, and what of it is a backlog's."""

    advice: Advice
    sized: RoleSizing | None
    backlog: Backlog | None = None


def _advised(
    role: Role,
    current: int,
    seen: Observation,
    ready: _Ready,
    policy: Policy,
    state: State,
    now: datetime,
) -> _Advised:
    load, forecast, factor = seen.load, ready.forecast, state.correction.factor(role)
    found = size_role(role, ready.profile, forecast, load, policy, factor)
    if ready.classic is not None:
        return _Advised(Advice(ready.classic[role]), found)
    given_up = _without_a_target(found, forecast, current, policy, role)
    if given_up is not None:
        return _Advised(given_up, found)
    before, starts = state.backlogs.get(role), state.starts
    waiting = backlog(role, found, ready.profile, load, forecast, policy, starts, now, before)
    found = with_backlog(found, waiting)
    advice = replicas_needed(
        load,
        found,
        forecast,
        current,
        policy.limits[role].fewest,
        state.near_needs.get(role, ()),
        state.demand,
        is_late=seen.is_fast or waiting is not None or role in state.correction.late,
        patience_s=policy.stabilization_s,
    )
    return _Advised(advice, found, waiting)


def _guarded(
    role: Role,
    needed: int,
    current: int,
    seen: Observation,
    policy: Policy,
    state: State,
    now: datetime,
) -> Guarded:
    """Return what limits leave of it; a pass between two ticks adds, or says nothing."""
    history, limits = state.histories.get(role, History()), policy.limits[role]
    step_from = state.ticked.get(role, current) if seen.is_fast else current
    found = guard(needed, current, limits, policy, history, now, step_from=step_from)
    return replace(found, history=history) if seen.is_fast and needed <= current else found


def _without_a_target(
    found: RoleSizing | None, forecast: Forecast, current: int, policy: Policy, role: Role
) -> Advice | None:
    """Return what the user wants where no number of replicas meets the target; None otherwise."""
    if found is None or found.answer.reachable or forecast.planned <= 0:
        return None
    match policy.when_unreachable:
        case WhenUnreachable.HOLD:
            return Advice(current)
        case WhenUnreachable.MAX_OUT:
            return Advice(policy.limits[role].most)
        case WhenUnreachable.BEST_EFFORT:
            return None


def _budgeted(
    drafts: tuple[_Draft, ...], seen: Observation, policy: Policy, state: State
) -> budget.GpuPlan:
    demands = tuple(_demand(draft, state, policy) for draft in drafts)
    if policy.budget_gpus is not None:
        return budget.plan_own(demands, policy.budget_gpus)
    if seen.budget is not None and not isinstance(seen.budget, Trouble):
        return budget.plan_shared(demands, seen.budget)
    return budget.unlimited(demands)


def _demand(draft: _Draft, state: State, policy: Policy) -> budget.RoleDemand:
    asked = draft.guarded.replicas
    return budget.RoleDemand(
        role=draft.role,
        gpus_each=draft.seen.gpus_per_replica,
        replicas=draft.current,
        held=draft.seen.held + draft.current - draft.seen.replicas,
        fewest=draft.fewest,
        asked=asked,
        need=draft.sized.need.grow if draft.sized else float(asked),
        rate_per_s=state.forecast.planned if state.forecast else 0.0,
        fixed=not policy.shadow and draft.role in state.edits,
    )


def _planned(draft: _Draft, gpus: budget.GpuPlan, state: State, policy: Policy) -> RolePlan:
    edit = None if policy.shadow else state.edits.get(draft.role)
    return RolePlan(
        seen=draft.seen,
        current=draft.current,
        answer=draft.sized.answer if draft.sized else None,
        need=draft.sized.need.grow if draft.sized else None,
        needed=draft.needed,
        replicas=gpus.replicas[draft.role],
        limit=_limit(draft, gpus, edit),
        factor=state.correction.factor(draft.role),
        backlog=draft.backlog,
        edit=edit,
        least_loaded=draft.sized.least_loaded if draft.sized else None,
    )


def _limit(draft: _Draft, gpus: budget.GpuPlan, edit: Edit | None) -> Limit | None:
    """Return what counts most: what a person did, then GPUs, then what the policy says."""
    if edit is not None:
        return Limit.EDITED
    if draft.role in gpus.short:
        return Limit.BUDGET
    return Limit.RELEASE if draft.role in gpus.waiting else draft.guarded.limit


def _standing(seen: Observation, policy: Policy) -> Claim | None:
    """Return what others must know of a planner that cannot change anything now."""
    if policy.budget_ref is None or not isinstance(seen.budget, BudgetSeen):
        return None
    if seen.budget.orphaned_gpus is not None:
        return budget.standing_claim(seen.budget.orphaned_gpus, 0)
    if not isinstance(seen.target, TargetSeen):
        return None
    held = sum(role.held * role.gpus_per_replica for role in seen.target.roles)
    fewest = sum(
        policy.limits[role.role].fewest * role.gpus_per_replica for role in seen.target.roles
    )
    return budget.standing_claim(held, fewest)


def begins(load: LoadSeen, state: State, looks: Sequence[Look], policy: Policy) -> bool:
    """Whether fast looks show load where the last pass read none, or not how long requests are.

    A whole tick is needed then: a look tells no lengths.
    """
    if policy.suspended or not looks or looks[-1].rate_per_s <= 0.0:
        return False
    if isinstance(load.rate_per_s, Unknown):
        return True
    return state.forecast is not None and state.forecast.isl is None


def rises(state: State, looks: Sequence[Look], policy: Policy, now: datetime) -> bool:
    """Whether fast looks show more than is planned for: whether to decide before the next tick.

    What holds a planner, holds it until the tick.
    """
    forecast = state.forecast
    if forecast is None or state.is_held or policy.suspended:
        return False
    if policy.sizing is SizingPolicy.CLASSIC:
        return False
    found = forecast.raised_by(lately(looks, now.timestamp()), policy.quantile)
    return found.planned > forecast.planned
