"""One pass for one SLAPlanner: observe, decide, scale, report."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from pydantic import ValidationError

from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_api.names import FieldManager
from dgdr_kube.errors import ClusterError, NotFound
from dgdr_kube.kinds import SLA_PLANNER
from dgdr_kube.manifests import merge_patch, ref
from dgdr_kube.ports import Cluster, Key, Manifest
from dgdr_planner.core import explain, ticks
from dgdr_planner.core.decide import Decision, Plan, State, decide
from dgdr_planner.core.edits import Known
from dgdr_planner.core.events import events_after
from dgdr_planner.core.failure import failed, short_cause
from dgdr_planner.core.forecast import Demand
from dgdr_planner.core.observation import Observation, Trouble, Unknown
from dgdr_planner.core.policy import Policy
from dgdr_planner.core.restored import state_of
from dgdr_planner.core.shared_budget import BudgetSeen
from dgdr_planner.core.status import Done, must_write, status_after
from dgdr_planner.observing import Observer
from dgdr_planner.ports import Budgets, Profiles, Targets
from dgdr_planner.telemetry import Telemetry

log = logging.getLogger(__name__)

# After a conflict the world has just changed; it is settled a moment later.
RETRY_S = 2.0
# A history that failed so often, with a Prometheus that answers otherwise, is never to be had.
HISTORY_TRIES = 5


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What the last pass left: the state, and the status if it could not be written.

    ``about`` is the planner's uid and its target: of another one nothing may be remembered.
    """

    about: tuple[str, str]
    state: State
    unwritten: SLAPlannerStatus | None


@dataclass(frozen=True, slots=True)
class _Turn:
    """One pass: which planner, what it saw, and when."""

    key: Key
    planner: SLAPlanner
    manifest: Manifest
    policy: Policy
    seen: Observation
    now: datetime

    @property
    def about(self) -> tuple[str, str]:
        return self.planner.metadata.uid, self.planner.spec.target_ref.name


class PlannerPass:
    """Reconciles SLAPlanners; called by the work queue with one key at a time.

    What it remembers between passes is a cache: a new process starts from the status.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        observer: Observer,
        profiles: Profiles,
        targets: Targets,
        budgets: Budgets,
        telemetry: Telemetry,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._observer = observer
        self._profiles = profiles
        self._targets = targets
        self._budgets = budgets
        self._telemetry = telemetry
        self._clock = clock
        self._remembered: dict[Key, _Remembered] = {}
        self._tries_left: dict[Key, int] = {}

    async def __call__(self, key: Key) -> float | None:
        """Run a pass; return the seconds until the next one, None when there is none."""
        manifest = await self._cluster.get(SLA_PLANNER, key.namespace, key.name)
        if manifest is None or manifest["metadata"].get("deletionTimestamp"):
            self.forget(key)
            return None
        try:
            planner = SLAPlanner.parse(manifest)
        except ValidationError as exc:
            # The API server refuses what the CRD forbids, so this is a CRD of another version.
            log.error("SLAPlanner %s/%s cannot be read: %s", *key, exc)
            self.forget(key)
            return None
        started = time.monotonic()
        try:
            return await self._run(key, planner, manifest, started)
        except Exception as exc:  # the top of a pass: whoever reads the status must learn of it
            self._telemetry.count(key, "failed", time.monotonic() - started)
            await self._tell_failure(key, planner, manifest, exc)
            raise

    def forget(self, key: Key) -> None:
        """Drop everything about a planner that is gone."""
        self._remembered.pop(key, None)
        self._tries_left.pop(key, None)
        self._telemetry.forget(key)

    async def _run(
        self, key: Key, planner: SLAPlanner, manifest: Manifest, started: float
    ) -> float:
        policy = Policy.of(planner.spec)
        seen = await self._observer.observe(key, planner, policy)
        profile = await self._profiles.profile(
            key.namespace, planner.spec.profile.config_map_ref.name
        )
        turn = _Turn(key, planner, manifest, policy, seen, self._clock())
        state = await self._state(turn)
        decision = await asyncio.to_thread(decide, seen, profile, policy, state, turn.now)
        done = await self._act(turn, decision)
        await self._report(turn, decision, done)
        took_s = time.monotonic() - started
        self._telemetry.count(key, _outcome(decision, done), took_s)
        return RETRY_S if done.outdated else self._delay_s(planner, policy)

    def _delay_s(self, planner: SLAPlanner, policy: Policy) -> float:
        source = planner.spec.metrics.prometheus if planner.spec.metrics else None
        url = source.url if source else ""
        return ticks.delay_s(self._clock().timestamp(), policy.interval_s, url)

    async def _state(self, turn: _Turn) -> State:
        known = self._remembered.get(turn.key)
        if known is not None and known.about == turn.about and known.state.histories:
            return await self._with_past(turn, known.state)
        self._tries_left[turn.key] = HISTORY_TRIES
        state = state_of(turn.planner.status, turn.seen.target, turn.policy, turn.now)
        return await self._with_past(turn, state)

    async def _with_past(self, turn: _Turn, state: State) -> State:
        """Learn the past once, as soon as Prometheus answers: without an answer, planners hold."""
        left = self._tries_left.pop(turn.key, 0)
        if left and isinstance(turn.seen.load.rate_per_s, Unknown):
            self._tries_left[turn.key] = left
        elif left:
            past = await self._observer.history(turn.key, turn.planner, turn.policy)
            if past is None:
                self._tries_left[turn.key] = left - 1
            elif past and len(past) >= len(state.demand):
                return replace(state, demand=Demand.restored(past))
        return state

    async def _act(self, turn: _Turn, decision: Decision) -> Done:
        if turn.policy.shadow:
            return self._would(turn, decision)
        if not await self._claimed(turn, decision):
            return Done(outdated=True)
        plan, target = decision.outcome, turn.seen.target
        if isinstance(plan, Trouble) or isinstance(target, Trouble) or not plan.changed:
            return Done()
        self._say(turn, plan)
        return await self._targets.scale(target, plan.changed)

    def _would(self, turn: _Turn, decision: Decision) -> Done:
        plan = decision.outcome
        if isinstance(plan, Trouble):
            return Done()
        self._say(turn, plan)
        return Done(roles=frozenset(change.seen.role for change in plan.changed))

    def _say(self, turn: _Turn, plan: Plan) -> None:
        for change in plan.changed:
            log.info("%s/%s: %s", *turn.key, explain.change(change, plan.forecast, turn.policy))

    async def _claimed(self, turn: _Turn, decision: Decision) -> bool:
        """Whether the shared budget knows what may be held after the next writes."""
        budget, claim = turn.seen.budget, decision.claim
        if claim is None or not isinstance(budget, BudgetSeen):
            return True
        target = turn.planner.spec.target_ref.name
        return await self._budgets.claim(turn.key.namespace, budget, claim, target)

    async def _report(self, turn: _Turn, decision: Decision, done: Done) -> None:
        there = turn.planner.status
        known = self._remembered.get(turn.key)
        # A status that could not be written still counts, or its decisions would be forgotten.
        old = known.unwritten if known and known.unwritten else there
        generation = turn.planner.metadata.generation
        state = written(decision, done)
        new = status_after(old, turn.seen, decision, turn.policy, done, generation, turn.now)
        self._telemetry.show(turn.key, turn.policy, turn.seen, decision, new)
        told = tuple(events_after(ref(turn.manifest), old, new, turn.policy.interval_s))
        write = bool(told) or must_write(there, new, turn.now)
        pending = new if write else None
        self._remembered[turn.key] = _Remembered(turn.about, state, pending)
        for event in told:
            await self._cluster.emit(event)
        if write:
            await self._write(turn.key, turn.manifest, new)
            self._remembered[turn.key] = _Remembered(turn.about, state, None)

    async def _tell_failure(
        self, key: Key, planner: SLAPlanner, manifest: Manifest, exc: Exception
    ) -> None:
        known = self._remembered.get(key)
        old = known.unwritten if known and known.unwritten else planner.status
        new = failed(old, short_cause(exc), planner.metadata.generation, self._clock())
        if new == old:
            return
        with suppress(ClusterError):  # what failed the pass may fail this too; the log has it
            await self._write(key, manifest, new)
            for event in events_after(ref(manifest), old, new, planner.spec.interval_s):
                await self._cluster.emit(event)

    async def _write(self, key: Key, manifest: Manifest, status: SLAPlannerStatus) -> None:
        patch = merge_patch(manifest.get("status") or {}, status.to_json())
        try:
            await self._cluster.patch_status(
                SLA_PLANNER, key.namespace, key.name, patch, FieldManager.PLANNER
            )
        except NotFound:
            log.info("SLAPlanner %s/%s is gone", *key)


def written(decision: Decision, done: Done) -> State:
    """Return the state with the numbers that this pass wrote: they are nobody else's."""
    plan, state = decision.outcome, decision.state
    if isinstance(plan, Trouble) or state.costs is not None:
        return state
    asked = {
        one.seen.role: Known(one.replicas, one.seen.adapter_version is not None)
        for one in plan.roles
        if one.seen.role in done.roles
    }
    return replace(state, known={**state.known, **asked})


def _outcome(decision: Decision, done: Done) -> str:
    if done.trouble is not None or done.outdated:
        return "failed"
    if isinstance(decision.outcome, Trouble):
        return "held"
    return "changed" if done.roles else "kept"
