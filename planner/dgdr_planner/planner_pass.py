"""One pass for one SLAPlanner: observe, decide, scale, report."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import ValidationError

from dgdr_kube.kinds import SLA_PLANNER
from dgdr_kube.manifests import intent_of, is_going, ref
from dgdr_kube.pass_record import decided
from dgdr_kube.ports import Key, Manifest, WatchedCluster
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.adapters.compute import Computing
from dgdr_planner.adapters.status_writer import StatusWriter
from dgdr_planner.adapters.telemetry import Telemetry
from dgdr_planner.decide import decide
from dgdr_planner.fast_looks import FastLooks
from dgdr_planner.forecast import OPTIONAL
from dgdr_planner.memory import Memory
from dgdr_planner.observe.budget import BudgetSeen
from dgdr_planner.observe.observation import Observation
from dgdr_planner.observe.value import Trouble
from dgdr_planner.observer import Observer
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.ports import Budgets, Profiles, Targets
from dgdr_planner.state import State
from dgdr_planner.tell import explain
from dgdr_planner.tell.events import events_after
from dgdr_planner.tell.status import Done, must_write, status_after
from dgdr_planner.turn import Read, Turn, outcome, tick_in_s, written

log = logging.getLogger(__name__)

# After a conflict the world has just changed; it is settled a moment later. Members of a budget
# tick at one moment: those that met try again at different ones.
RETRY_S = (1.0, 3.0)


class PlannerPass:
    """Reconciles SLAPlanners; called by the work queue with one key at a time.

    What it remembers between passes is a cache: a new process starts from the status.
    """

    def __init__(
        self,
        *,
        cluster: WatchedCluster,
        observer: Observer,
        profiles: Profiles,
        targets: Targets,
        budgets: Budgets,
        telemetry: Telemetry,
        computing: Computing,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._cluster = cluster
        self._observer = observer
        self._profiles = profiles
        self._targets = targets
        self._budgets = budgets
        self._telemetry = telemetry
        self._computing = computing
        self._clock = clock
        self._uniform = uniform
        self._statuses = StatusWriter(cluster)
        self._read: dict[Key, Read] = {}
        self._memory = Memory(observer)
        self.looks = FastLooks(self._memory, observer, clock)

    async def __call__(self, key: Key) -> float | None:
        """Run a pass; return the seconds until the next one, None when there is none."""
        manifest = await self._cluster.look(SLA_PLANNER, *key)
        if manifest is None or is_going(manifest):
            self.forget(key)
            return None
        try:
            read = self._reading(key, manifest)
        except ValidationError as exc:
            # The API server refuses what the CRD forbids, so this is a CRD of another version.
            log.error("SLAPlanner %s/%s cannot be read: %s", *key, exc)
            self.forget(key)
            return None
        started = time.monotonic()
        try:
            return await self._run(key, read, started)
        except Exception as exc:  # the top of a pass: whoever reads the status must learn of it
            self._telemetry.count(key, "failed", time.monotonic() - started)
            await self._statuses.tell_failure(
                key, read, self._memory.told(key, read), exc, self._clock()
            )
            raise

    def forget(self, key: Key) -> None:
        """Drop everything about a planner that is gone."""
        read = self._read.pop(key, None)
        if read is not None:
            self._targets.forget(key.namespace, read.planner.spec.target_ref.name)
        self._memory.forget(key)
        self.looks.forget(key)
        self._telemetry.forget(key)

    def _reading(self, key: Key, manifest: Manifest) -> Read:
        known = self._read.get(key)
        if known is None or not known.is_of(manifest):
            known = self._read[key] = Read.of(manifest)
        return known

    async def _run(self, key: Key, read: Read, started: float) -> float:
        begun = self._clock()
        seen = await self._seen(key, read)
        profile = await self._profiles.profile(
            key.namespace, read.planner.spec.profile.config_map_ref.name
        )
        # A fast pass is one of the interval in which it began, however long it takes.
        turn = Turn(key, read, seen, begun if seen.is_fast else self._clock())
        state = await self._memory.state(turn)
        decision = await self._decided(turn, profile, state)
        if writes(turn, decision):
            again = await self._looked_again(turn)
            if again is None:  # nothing that was found here is about the planner as it is now
                self._telemetry.count(key, "failed", time.monotonic() - started)
                return self._uniform(*RETRY_S)
            if again.seen != turn.seen:
                turn, decision = again, await self._decided(again, profile, state)
        done = await self._act(turn, decision)
        decided(outcome(decision, done))
        await self._report(turn, decision, done)
        self._telemetry.count(key, outcome(decision, done), time.monotonic() - started)
        return self._uniform(*RETRY_S) if done.outdated else self._tick_in_s(turn)

    def _tick_in_s(self, turn: Turn) -> float:
        """Return the seconds until the next tick: at once where a fast pass has outlasted it."""
        now = self._clock()
        if not turn.seen.is_fast:
            return tick_in_s(turn.planner, turn.policy, now)
        left_s = tick_in_s(turn.planner, turn.policy, turn.now)
        return max(left_s - (now - turn.now).total_seconds(), 0.0)

    async def _seen(self, key: Key, read: Read) -> Observation:
        """Look at everything; where a fast look brought this pass, at what may have changed."""
        left, looks = self._memory.left(key), self.looks.of(key)
        is_rise = self.looks.took_rise(key)
        if is_rise and looks and left and left.turn.about == read.about:
            seen = await self._observer.again(left.turn.seen, key, read.planner, read.policy)
            return seen.looked(looks)
        seen = await self._observer.observe(key, read.planner, read.policy)
        return replace(seen, looks=looks)

    async def _decided(
        self, turn: Turn, profile: EngineProfile | Trouble, state: State
    ) -> Decision:
        is_slow = turn.policy.forecast_model in OPTIONAL
        computed = self._computing.aside if is_slow else self._computing.computed
        return await computed(decide, turn.seen, profile, turn.policy, state, turn.now)

    async def _looked_again(self, turn: Turn) -> Turn | None:
        """Look at what a watch may not have told of yet, before anything is written by it.

        None where the planner itself is another one now.
        """
        found = await self._cluster.get(SLA_PLANNER, *turn.key)
        if found is None or intent_of(found) != intent_of(turn.read.manifest):
            return None
        if turn.policy.budget_ref is not None:  # seen as it is at the first look
            return turn
        planner, policy = turn.planner, turn.policy
        return replace(turn, seen=await self._observer.again(turn.seen, turn.key, planner, policy))

    async def _act(self, turn: Turn, decision: Decision) -> Done:
        if turn.policy.shadow:
            return self._would(turn, decision)
        if not await self._claimed(turn, decision):
            return Done(outdated=True)
        plan, target = decision.outcome, turn.seen.target
        if isinstance(plan, Trouble) or isinstance(target, Trouble) or not plan.changed:
            return Done()
        self._say(turn, plan)
        return await self._targets.scale(target, plan.changed)

    def _would(self, turn: Turn, decision: Decision) -> Done:
        plan = decision.outcome
        if isinstance(plan, Trouble):
            return Done()
        self._say(turn, plan)
        return Done(roles=frozenset(change.seen.role for change in plan.changed))

    def _say(self, turn: Turn, plan: Plan) -> None:
        for change in plan.changed:
            log.info("%s/%s: %s", *turn.key, explain.change(change, plan.forecast, turn.policy))

    async def _claimed(self, turn: Turn, decision: Decision) -> bool:
        """Whether the shared budget knows what may be held after the next writes."""
        budget, claim = turn.seen.budget, decision.claim
        if claim is None or not isinstance(budget, BudgetSeen):
            return True
        target = turn.planner.spec.target_ref.name
        claim = replace(claim, target=target)
        return await self._budgets.claim(turn.key.namespace, budget, claim, target)

    async def _report(self, turn: Turn, decision: Decision, done: Done) -> None:
        there = turn.planner.status
        old = self._memory.told(turn.key, turn.read)
        generation = turn.planner.metadata.generation
        state = written(decision, done)
        new = status_after(old, turn.seen, decision, turn.policy, done, generation, turn.now)
        self._telemetry.show(turn.key, turn.policy, turn.seen, decision, new)
        about = ref(turn.read.manifest)
        events = tuple(events_after(about, old, new, turn.policy.interval_s))
        write = bool(events) or must_write(there, new, turn.now)
        self._memory.keep(turn, state, new if write else None)
        await self._statuses.tell(events)
        if write:
            await self._statuses.write(turn.key, turn.read.manifest, new)
            self._memory.keep(turn, state, None)


def writes(turn: Turn, decision: Decision) -> bool:
    """Whether a decision leads to a write that others depend on."""
    if turn.policy.shadow:
        return False
    plan = decision.outcome
    return decision.claim is not None or (isinstance(plan, Plan) and bool(plan.changed))
