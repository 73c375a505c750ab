"""What one pass looks at, read at once: the target, its load, and what others have to say."""

import asyncio
import math
from dataclasses import replace
from datetime import datetime

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_api.names import dynamo_namespace
from dgdr_kube.ports import Key
from dgdr_planner.adapters.compute import Computing
from dgdr_planner.observe import queries
from dgdr_planner.observe.budget import BudgetSeen
from dgdr_planner.observe.doubts import without_workers
from dgdr_planner.observe.endpoint import Endpoint
from dgdr_planner.observe.glance import glance
from dgdr_planner.observe.history import MOST_WINDOWS, Sample
from dgdr_planner.observe.load import measure
from dgdr_planner.observe.looks import Look, look_s, looks_help
from dgdr_planner.observe.observation import LoadSeen, Observation, TargetSeen
from dgdr_planner.observe.ownership import conflict_with, conflict_with_nvidias, owner_of
from dgdr_planner.observe.snapshot import NoSnapshot, Snapshot, graph_key
from dgdr_planner.observe.target import is_absent
from dgdr_planner.observe.value import Trouble
from dgdr_planner.policy import Policy
from dgdr_planner.ports import Budgets, Endpoints, Metrics, Planners, Switch, Targets
from dgdr_planner.turn import Turn

# A day shows the course of a day; what came before is learned again.
HISTORY_S = 86_400.0


class Observer:
    """Reads everything that a decision needs, but for the profile."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        targets: Targets,
        planners: Planners,
        budgets: Budgets,
        switch: Switch,
        endpoints: Endpoints,
        computing: Computing,
        scrape_interval_s: float,
    ) -> None:
        self._metrics = metrics
        self._targets = targets
        self._planners = planners
        self._budgets = budgets
        self._switch = switch
        self._endpoints = endpoints
        self._computing = computing
        self._scrape_interval_s = scrape_interval_s
        self.look_s = look_s(scrape_interval_s)

    async def observe(self, key: Key, planner: SLAPlanner, policy: Policy) -> Observation:
        """Return what is there, as the watches tell; under a shared budget as it is now."""
        name = planner.spec.target_ref.name
        window_s = queries.window_s(policy.interval_s, self._scrape_interval_s)
        # The budget before the target: what was let go in between is then counted twice, not
        # missed, and a claim made in between fails ours.
        budget = await self._budget(key, policy)
        target, snapshot, hold = await asyncio.gather(
            self._target(key, planner, policy, certain=policy.budget_ref is not None),
            self._snapshot(key.namespace, planner, window_s),
            self._hold(key, name, policy),
        )
        load = await self._load(key.namespace, name, target, snapshot, window_s)
        budget = await self._as_scaled(budget, key.namespace, name, target)
        hold = hold or _other_owner(target, policy)
        return Observation(target=target, load=load, budget=budget, hold=hold)

    async def again(
        self, seen: Observation, key: Key, planner: SLAPlanner, policy: Policy
    ) -> Observation:
        """Return what may be written by: the same load, all else as it is now."""
        name = planner.spec.target_ref.name
        budget = await self._budget(key, policy)
        target, hold = await asyncio.gather(
            self._target(key, planner, policy, certain=True), self._hold(key, name, policy)
        )
        budget = await self._as_scaled(budget, key.namespace, name, target)
        hold = hold or _other_owner(target, policy)
        return replace(seen, target=target, budget=budget, hold=hold)

    def look_window_s(self, policy: Policy) -> float | None:
        """Return the seconds that a fast look sees; None where ticks see as much."""
        return self.look_s if looks_help(policy.interval_s, self.look_s) else None

    async def glance(self, turn: Turn, window_s: float, now: datetime) -> Look | None:
        """Return the load of the last seconds; None where it cannot be had."""
        target = turn.seen.target
        if isinstance(target, Trouble):
            return None
        endpoint = await self._endpoint(turn.key.namespace, turn.planner)
        if isinstance(endpoint, NoSnapshot):
            return None
        snapshot = await self._metrics.snapshot(endpoint, window_s, counts_only=True)
        graph = graph_key(target.namespace, dynamo_namespace(target.namespace, target.name))
        return await self._computing.computed(
            glance, snapshot, graph, now.timestamp(), target.model, target.frontends
        )

    async def _target(
        self, key: Key, planner: SLAPlanner, policy: Policy, *, certain: bool
    ) -> TargetSeen | Trouble:
        target = await self._targets.observe(
            key.namespace,
            planner.spec.target_ref.name,
            policy.roles,
            with_pods=_needs_pods(policy, planner.status),
            certain=certain,
        )
        if policy.is_budgeted and isinstance(target, TargetSeen) and target.uncountable:
            return Trouble("GpusUncountable", f"component {target.uncountable}")
        return target

    async def _load(
        self,
        namespace: str,
        name: str,
        target: TargetSeen | Trouble,
        snapshot: Snapshot | NoSnapshot,
        window_s: float,
    ) -> LoadSeen:
        if isinstance(target, Trouble):
            return LoadSeen.unknown(target.reason, target.message, window_s)
        graph = graph_key(namespace, dynamo_namespace(namespace, name))
        computed = self._computing.computed
        seen = await computed(measure, snapshot, graph, window_s, target.model, target.frontends)
        return without_workers(seen, target)

    async def history(
        self, key: Key, planner: SLAPlanner, policy: Policy
    ) -> tuple[Sample, ...] | NoSnapshot:
        """Return the load of the past, for a process that has just started.

        Empty where there is none; what cannot be had now is told why.
        """
        endpoint = await self._endpoint(key.namespace, planner)
        if isinstance(endpoint, NoSnapshot):
            return endpoint
        name = planner.spec.target_ref.name
        return await self._metrics.history(
            endpoint,
            graph_key(key.namespace, dynamo_namespace(key.namespace, name)),
            policy.interval_s,
            min(math.ceil(HISTORY_S / policy.interval_s), MOST_WINDOWS),
            self._scrape_interval_s,
        )

    async def _snapshot(
        self, namespace: str, planner: SLAPlanner, window_s: float
    ) -> Snapshot | NoSnapshot:
        endpoint = await self._endpoint(namespace, planner)
        if isinstance(endpoint, NoSnapshot):
            return endpoint
        return await self._metrics.snapshot(endpoint, window_s)

    async def _endpoint(self, namespace: str, planner: SLAPlanner) -> Endpoint | NoSnapshot:
        source = planner.spec.metrics.prometheus if planner.spec.metrics else None
        return await self._endpoints.endpoint(namespace, source)

    async def _budget(self, key: Key, policy: Policy) -> BudgetSeen | Trouble | None:
        if policy.budget_ref is None:
            return None
        return await self._budgets.observe(key.namespace, policy.budget_ref, key.name)

    async def _as_scaled(
        self,
        budget: BudgetSeen | Trouble | None,
        namespace: str,
        name: str,
        target: TargetSeen | Trouble,
    ) -> BudgetSeen | Trouble | None:
        """Return the budget as it is for who scales the target, or what is left of its pods."""
        if not isinstance(budget, BudgetSeen):
            return budget
        if is_absent(target):
            orphaned = await self._budgets.held(namespace, name)
            return replace(budget.scaling(name, orphaned), orphaned_gpus=orphaned)
        roles = target.roles if isinstance(target, TargetSeen) else ()
        return budget.scaling(name, sum(one.held * one.gpus_per_replica for one in roles))

    async def _hold(self, key: Key, target: str, policy: Policy) -> Trouble | None:
        thrown = await self._switch.thrown()
        if thrown is not None or policy.shadow:
            return thrown
        owner = owner_of(target, await self._planners.scaling(key.namespace, target))
        if owner is None or owner.name == key.name:
            return None
        return Trouble("OwnershipConflict", conflict_with(owner, target))


def _other_owner(target: TargetSeen | Trouble, policy: Policy) -> Trouble | None:
    if isinstance(target, Trouble) or policy.shadow or target.other_planner is None:
        return None
    text = conflict_with_nvidias(target.other_planner, target.name)
    return Trouble("OwnershipConflict", text)


def _needs_pods(policy: Policy, status: SLAPlannerStatus) -> bool:
    """Whether pods have to be counted: under a budget, and as long as some may be stopping."""
    if policy.is_budgeted:
        return True
    return any(
        role.terminating_replicas
        or role.ready_replicas is None
        or (role.replicas or 0) < role.ready_replicas
        for role in status.roles
    )
