"""The decision: how many replicas each role should have now, or why nothing may change.

The same function runs in the controller and wherever decisions are rehearsed: it sees values,
knows no clock, and returns what happened together with what it must remember.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import Answer, Workload, size_decode, size_prefill
from dgdr_planner.core.forecast import Forecast, last_value
from dgdr_planner.core.guards import History, Limit, guard
from dgdr_planner.core.observation import Idle, Observation, RoleSeen, TargetSeen, Trouble, Unknown
from dgdr_planner.core.policy import SCALED_ROLES, Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What one decision leaves for the next."""

    histories: Mapping[Role, History] = field(default_factory=dict)
    forecast: Forecast | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePlan:
    """One role: what is there, what the load needs, what to ask for.

    ``answer`` is None where the lengths of requests were never seen, so that nothing was sized.
    """

    seen: RoleSeen
    answer: Answer | None
    needed: int
    replicas: int
    limit: Limit | None

    @property
    def changes(self) -> bool:
        """Whether the number should change."""
        return self.replicas != self.seen.replicas


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Replicas for the forecast load."""

    forecast: Forecast
    roles: tuple[RolePlan, ...]

    @property
    def changed(self) -> tuple[RolePlan, ...]:
        """Roles whose number should change."""
        return tuple(role for role in self.roles if role.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do now: a plan, or a reason to leave everything as it is."""

    outcome: Plan | Trouble
    state: State


def decide(
    seen: Observation,
    profile: EngineProfile | Trouble,
    policy: Policy,
    state: State,
    now: datetime,
) -> Decision:
    """Choose the replicas of all roles; what is not known changes nothing."""
    ready = _ready(seen, profile, policy, state)
    if isinstance(ready, Trouble):
        return Decision(outcome=ready, state=state)
    plans = {}
    histories = {}
    for role in SCALED_ROLES:
        there = ready.target.role(role)
        answer = _answer(role, ready.profile, ready.forecast, policy)
        limits = policy.limits[role]
        needed = _needed(seen, answer, ready.forecast, there.replicas, limits.fewest)
        history = state.histories.get(role, History())
        guarded = guard(needed, there.replicas, limits, policy, history, now)
        histories[role] = guarded.history
        plans[role] = RolePlan(
            seen=there,
            answer=answer,
            needed=needed,
            replicas=guarded.replicas,
            limit=guarded.limit,
        )
    plan = Plan(forecast=ready.forecast, roles=tuple(plans.values()))
    return Decision(outcome=plan, state=State(histories=histories, forecast=ready.forecast))


def _needed(
    seen: Observation, answer: Answer | None, forecast: Forecast, current: int, fewest: int
) -> int:
    """Return the replicas that the load needs.

    Only confirmed idleness needs none. Long answers may be in flight while nothing arrives: they
    hold the replicas that serve them.
    """
    if isinstance(seen.load.rate_per_s, Idle):
        return fewest
    return answer.replicas if answer and forecast.rate_per_s > 0 else current


@dataclass(frozen=True, slots=True)
class _Ready:
    target: TargetSeen
    profile: EngineProfile
    forecast: Forecast


def _ready(
    seen: Observation, profile: EngineProfile | Trouble, policy: Policy, state: State
) -> _Ready | Trouble:
    if policy.suspended:
        return Trouble("Suspended", "spec.suspend is true: replicas stay as they are")
    if isinstance(seen.target, Trouble):
        return seen.target
    if isinstance(profile, Trouble):
        return profile
    forecast = last_value(seen.load, state.forecast)
    if isinstance(forecast, Unknown):
        return Trouble(forecast.reason, forecast.cause)
    return _Ready(seen.target, profile, forecast)


def _answer(
    role: Role, profile: EngineProfile, forecast: Forecast, policy: Policy
) -> Answer | None:
    if forecast.isl is None or forecast.osl is None:
        return None
    load = Workload(rate_per_s=forecast.rate_per_s, isl=forecast.isl, osl=forecast.osl)
    size = size_prefill if role is Role.PREFILL else size_decode
    return size(profile, load, policy.targets)
