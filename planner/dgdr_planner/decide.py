"""The decision: how many replicas each role should have now, or why nothing may change.

The same function runs in the controller and wherever decisions are rehearsed: it sees values,
knows no clock, and returns what happened together with what it must remember.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import WhenUnreachable
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.ahead import Ahead, Forecasts, ahead
from dgdr_planner.forecast import Forecast
from dgdr_planner.gpus import Draft, budgeted, role_plan, standing
from dgdr_planner.limit.guards import Guarded, History, guard
from dgdr_planner.observe.observation import Observation, RoleSeen
from dgdr_planner.observe.unfinished import with_unfinished
from dgdr_planner.observe.value import Trouble
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.policy import Policy
from dgdr_planner.size.backlog import Backlog, backlog, with_backlog
from dgdr_planner.size.cached import Cached, cached_after, with_cached
from dgdr_planner.size.correction import Correction
from dgdr_planner.size.correction import correction as correction_after
from dgdr_planner.size.curves import RoleSizing, observed, size_role, unlike
from dgdr_planner.size.need import Advice, beyond_most, replicas_needed
from dgdr_planner.state import State, with_look, with_plan


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
    planned = ahead(seen, profile, policy, state, now, forecaster)
    if isinstance(planned, Trouble):
        return _held(planned, seen, policy, state)
    state = replace(state, forecast=planned.forecast, is_held=False)
    if not seen.is_fast:
        state = replace(state, cached=_cached(seen, planned, state, now))
    seen = replace(seen, load=with_cached(seen.load, state.cached))
    if not seen.is_fast:
        state = replace(state, correction=_corrected(seen, planned, policy, state, now))
    drafts = tuple(
        _drafted(planned.target.role(role), seen, planned, policy, state, now)
        for role in policy.roles
    )
    state = _with_drafts(state, drafts, seen)
    gpus = budgeted(drafts, seen, policy, state)
    if gpus.infeasible is not None:
        trouble = Trouble("BudgetInfeasible", gpus.infeasible)
        return Decision(outcome=trouble, state=replace(state, is_held=True), claim=gpus.claim)
    roles = tuple(role_plan(draft, gpus, state, policy) for draft in drafts)
    plan = Plan(
        forecast=planned.forecast,
        roles=roles,
        share_gpus=gpus.share,
        unlike=unlike(planned.profile, planned.target),
    )
    state = with_plan(state, {role.seen.role: role.replicas for role in roles})
    return Decision(outcome=plan, state=state, claim=gpus.claim)


def _held(trouble: Trouble, seen: Observation, policy: Policy, state: State) -> Decision:
    correction = replace(state.correction, late=frozenset())
    state = replace(state, correction=correction, is_held=True)
    return Decision(outcome=trouble, state=state, claim=standing(seen, policy))


def _cached(seen: Observation, planned: Ahead, state: State, now: datetime) -> Cached:
    known = observed(planned.forecast, seen.load)
    return cached_after(state.cached, seen.load, planned.profile, known, now)


def _corrected(
    seen: Observation, planned: Ahead, policy: Policy, state: State, now: datetime
) -> Correction:
    known, starts = state.correction, state.starts
    return correction_after(
        known, starts, seen.load, planned.profile, planned.forecast, policy, now
    )


def _with_drafts(state: State, drafts: tuple[Draft, ...], seen: Observation) -> State:
    """Remember what the next pass goes on from."""
    return replace(
        state,
        histories={draft.role: draft.guarded.history for draft in drafts},
        near_needs={draft.role: draft.near_needs for draft in drafts},
        is_counted=state.is_counted or not seen.is_fast,
        backlogs={draft.role: draft.backlog for draft in drafts if draft.backlog},
        ticked=state.ticked if seen.is_fast else {one.role: one.current for one in drafts},
    )


def _drafted(
    there: RoleSeen, seen: Observation, planned: Ahead, policy: Policy, state: State, now: datetime
) -> Draft:
    """Return what one role of the target needs, and what limits leave of it."""
    role, limits = there.role, policy.limits[there.role]
    current = state.costs.replicas.get(role, there.replicas) if state.costs else there.replicas
    advised = _advised(role, current, seen, planned, policy, state, now)
    found, advice = advised.sized, advised.advice
    needed = advice.replicas
    if planned.classic is None and found is not None and needed == limits.most:
        needed = beyond_most(needed, found.need)
    return Draft(
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
    planned: Ahead,
    policy: Policy,
    state: State,
    now: datetime,
) -> _Advised:
    load, forecast, factor = seen.load, planned.forecast, state.correction.factor(role)
    found = size_role(role, planned.profile, forecast, load, policy, factor)
    if planned.classic is not None:
        return _Advised(Advice(planned.classic[role]), found)
    given_up = _without_a_target(found, forecast, current, policy, role)
    if given_up is not None:
        return _Advised(given_up, found)
    before, starts = state.backlogs.get(role), state.starts
    waiting = backlog(role, found, planned.profile, load, forecast, policy, starts, now, before)
    found = with_backlog(found, waiting)
    advice = replicas_needed(
        load,
        found,
        forecast,
        current,
        policy.limits[role].fewest,
        state.nearby(role),
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
