"""One pass for one SLAPlanner: observe, decide, scale, report."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import ValidationError

from dgdr_api.models.sla_planner import SLAPlanner, SLAPlannerStatus
from dgdr_api.names import FieldManager, dynamo_namespace
from dgdr_kube.errors import NotFound
from dgdr_kube.kinds import SLA_PLANNER
from dgdr_kube.manifests import merge_patch, ref
from dgdr_kube.ports import Cluster, Key, Manifest
from dgdr_planner.core import explain, queries
from dgdr_planner.core.decide import Decision, State, decide
from dgdr_planner.core.events import events_after
from dgdr_planner.core.measure import measure
from dgdr_planner.core.observation import LoadSeen, Observation, Trouble
from dgdr_planner.core.policy import Policy
from dgdr_planner.core.snapshot import NoSnapshot, Snapshot, graph_key
from dgdr_planner.core.status import Done, must_write, state_of, status_after
from dgdr_planner.ports import Metrics, Profiles, Targets
from dgdr_planner.telemetry import Telemetry

log = logging.getLogger(__name__)

# After a conflict the world has just changed; it is settled a moment later.
RETRY_S = 2.0


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
        metrics: Metrics,
        profiles: Profiles,
        targets: Targets,
        telemetry: Telemetry,
        prometheus_url: str,
        scrape_interval_s: float,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._cluster = cluster
        self._metrics = metrics
        self._profiles = profiles
        self._targets = targets
        self._telemetry = telemetry
        self._prometheus_url = prometheus_url
        self._scrape_interval_s = scrape_interval_s
        self._clock = clock
        self._remembered: dict[Key, _Remembered] = {}

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
        return await self._run(key, planner, manifest)

    def forget(self, key: Key) -> None:
        """Drop everything about a planner that is gone."""
        self._remembered.pop(key, None)
        self._telemetry.forget(key)

    async def _run(self, key: Key, planner: SLAPlanner, manifest: Manifest) -> float:
        started = time.monotonic()
        policy = Policy.of(planner.spec)
        seen = await self._observe(key, planner, policy)
        profile = await self._profiles.profile(
            key.namespace, planner.spec.profile.config_map_ref.name
        )
        turn = _Turn(key, planner, manifest, policy, seen, self._clock())
        state = self._state(turn)
        decision = await asyncio.to_thread(decide, seen, profile, policy, state, turn.now)
        done = await self._act(turn, decision)
        await self._report(turn, decision, done)
        took_s = time.monotonic() - started
        self._telemetry.count(key, _outcome(decision, done), took_s)
        return RETRY_S if done.outdated else max(policy.interval_s - took_s, 1.0)

    async def _observe(self, key: Key, planner: SLAPlanner, policy: Policy) -> Observation:
        name = planner.spec.target_ref.name
        url = planner.spec.prometheus_url or self._prometheus_url
        window_s = queries.window_s(policy.interval_s, self._scrape_interval_s)
        target, snapshot = await asyncio.gather(
            self._targets.observe(key.namespace, name), self._snapshot(url, window_s)
        )
        if isinstance(target, Trouble):
            unknown = LoadSeen.unknown(target.reason, target.message, window_s)
            return Observation(target=target, load=unknown)
        graph = graph_key(key.namespace, dynamo_namespace(key.namespace, name))
        load = await asyncio.to_thread(
            measure, snapshot, graph, window_s, target.model, target.frontends
        )
        return Observation(target=target, load=load)

    async def _snapshot(self, url: str, window_s: float) -> Snapshot | NoSnapshot:
        if url:
            return await self._metrics.snapshot(url, window_s)
        cause = "no Prometheus is named, neither by the installation nor by spec.metrics"
        return NoSnapshot("PrometheusMissing", cause)

    def _state(self, turn: _Turn) -> State:
        known = self._remembered.get(turn.key)
        if known is not None and known.about == turn.about and known.state.histories:
            return known.state
        return state_of(turn.planner.status, turn.seen.target, turn.now)

    async def _act(self, turn: _Turn, decision: Decision) -> Done:
        plan, target = decision.outcome, turn.seen.target
        if isinstance(plan, Trouble) or isinstance(target, Trouble) or not plan.changed:
            return Done()
        for change in plan.changed:
            log.info("%s/%s: %s", *turn.key, explain.change(change, plan.forecast, turn.policy))
        if turn.policy.shadow:
            return Done(roles=frozenset(change.seen.role for change in plan.changed))
        return await self._targets.scale(target, plan.changed)

    async def _report(self, turn: _Turn, decision: Decision, done: Done) -> None:
        written = turn.planner.status
        known = self._remembered.get(turn.key)
        # A status that could not be written still counts, or its decisions would be forgotten.
        old = known.unwritten if known and known.unwritten else written
        generation = turn.planner.metadata.generation
        new = status_after(old, turn.seen, decision, turn.policy, done, generation, turn.now)
        self._telemetry.show(turn.key, turn.policy, turn.seen, decision, new)
        write = must_write(written, new, turn.now)
        pending = new if write else None
        self._remembered[turn.key] = _Remembered(turn.about, decision.state, pending)
        for event in events_after(ref(turn.manifest), old, new):
            await self._cluster.emit(event)
        if write:
            await self._write(turn, new)
            self._remembered[turn.key] = _Remembered(turn.about, decision.state, None)

    async def _write(self, turn: _Turn, status: SLAPlannerStatus) -> None:
        patch = merge_patch(turn.manifest.get("status") or {}, status.to_json())
        try:
            await self._cluster.patch_status(
                SLA_PLANNER, turn.key.namespace, turn.key.name, patch, FieldManager.PLANNER
            )
        except NotFound:
            log.info("SLAPlanner %s/%s is gone", *turn.key)


def _outcome(decision: Decision, done: Done) -> str:
    if done.trouble is not None or done.outdated:
        return "failed"
    if isinstance(decision.outcome, Trouble):
        return "held"
    return "changed" if done.roles else "kept"
