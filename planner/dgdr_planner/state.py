"""What one decision leaves for the next, and what a look at the world adds to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from dgdr_api.graph import Role
from dgdr_planner.forecast import Demand, Forecast
from dgdr_planner.limit.edits import Edit, Known, edits_of
from dgdr_planner.limit.guards import History
from dgdr_planner.observe.attainment import WindowAttainment, with_window
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.observation import Observation, TargetSeen
from dgdr_planner.observe.startup import Starts, with_sight
from dgdr_planner.policy import Policy
from dgdr_planner.size.backlog import Backlog
from dgdr_planner.size.cached import Cached
from dgdr_planner.size.correction import Correction

HOUR_S = 3600.0
# Of an interval: what is looked at sooner after a window is that window.
SAME_WINDOW = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """GPU-hours since a moment: those of the decisions, and those that the target held."""

    target: str
    since: datetime
    until: datetime
    planned: float = 0.0
    held: float = 0.0
    replicas: Mapping[Role, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What one decision leaves for the next.

    ``known`` are the replicas that each role had, or was asked to have, at the end of the last
    pass; ``near_needs`` its last needs that were too near to the number that is there to change
    it; ``backlogs`` what waited for them. ``ticked`` are the replicas that the last tick found,
    from which steps up count; ``is_counted`` says that ``near_needs`` count the newest window,
    ``is_again`` that the last look saw it once more since, ``is_held`` that the last pass had a
    reason to change nothing. ``costs`` is counted in Shadow only.
    """

    histories: Mapping[Role, History] = field(default_factory=dict)
    demand: Demand = field(default_factory=Demand)
    forecast: Forecast | None = None
    starts: Starts = field(default_factory=Starts)
    known: Mapping[Role, Known] = field(default_factory=dict)
    edits: Mapping[Role, Edit] = field(default_factory=dict)
    correction: Correction = field(default_factory=Correction)
    cached: Cached = field(default_factory=Cached)
    near_needs: Mapping[Role, tuple[float, ...]] = field(default_factory=dict)
    backlogs: Mapping[Role, Backlog] = field(default_factory=dict)
    windows: tuple[WindowAttainment, ...] = ()
    ticked: Mapping[Role, int] = field(default_factory=dict)
    is_counted: bool = False
    is_again: bool = False
    is_held: bool = False
    costs: Costs | None = None

    def nearby(self, role: Role) -> tuple[float, ...]:
        """Return the near needs of a role, each of another window than the one that is seen now."""
        needs = self.near_needs.get(role, ())
        return needs[:-1] if self.is_again else needs


def with_look(state: State, seen: Observation, policy: Policy, now: datetime) -> State:
    """Return the state with this look: demand, attainment, starts, hand edits.

    Between two ticks no window has ended: a pass that is tried again, or that a change of the
    deployment brings, sees the last one once more.
    """
    if seen.is_fast:
        state = replace(state, is_again=False)
    else:
        sample = Sample.of(seen.load, now.timestamp())
        apart_s = SAME_WINDOW * min(policy.interval_s, seen.load.window_s)
        is_again = state.is_counted and state.demand.repeats(sample.at_s, apart_s)
        state = replace(
            state,
            is_counted=is_again,
            is_again=is_again,
            demand=state.demand.with_sample(sample, apart_s),
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
        return Costs(target=target.name, since=now, until=now)
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
