"""What a look at the world adds to what is known, before anything is decided."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from dgdr_api.graph import Role
from dgdr_planner.core.attainment import with_window
from dgdr_planner.core.edits import Known, edits_of
from dgdr_planner.core.forecast import Sample
from dgdr_planner.core.observation import Observation, TargetSeen
from dgdr_planner.core.policy import Policy
from dgdr_planner.core.startup import with_sight
from dgdr_planner.core.state import Costs, State

HOUR_S = 3600.0


def noted(state: State, seen: Observation, policy: Policy, now: datetime) -> State:
    """Return the state with this look: demand, attainment, starts, hand edits."""
    state = replace(
        state,
        demand=state.demand.with_sample(Sample.of(seen.load, now.timestamp())),
        windows=with_window(state.windows, seen.load, policy.targets, now),
    )
    if not isinstance(seen.target, TargetSeen):
        return state
    roles = seen.target.roles
    return replace(
        state,
        starts=with_sight(state.starts, roles, now),
        edits=edits_of(roles, state.known, state.edits, now),
        known={role.role: Known(role.replicas, role.adapter_version is not None) for role in roles},
        costs=_costs(state.costs, seen.target, now) if policy.shadow else None,
    )


def _costs(costs: Costs | None, target: TargetSeen, now: datetime) -> Costs:
    """Count what was held, and what the last decision would have held, since the last look."""
    if costs is None:
        return Costs(since=now, until=now)
    hours = (now - costs.until).total_seconds() / HOUR_S
    held = {seen.role: seen.held * seen.gpus_per_replica for seen in target.roles}
    planned = {
        seen.role: costs.replicas.get(seen.role, seen.replicas) * seen.gpus_per_replica
        for seen in target.roles
    }
    return replace(
        costs,
        until=now,
        planned=costs.planned + hours * sum(planned.values()),
        held=costs.held + hours * sum(held.values()),
    )


def with_plan(state: State, replicas: Mapping[Role, int]) -> State:
    """Return the state of a shadow that would have asked for these replicas."""
    if state.costs is None:
        return state
    return replace(state, costs=replace(state.costs, replicas=dict(replicas)))
