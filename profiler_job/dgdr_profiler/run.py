"""Carries the actions of the strategy out: the shell around ``core``, without a cluster of its own.

Everything that must survive is stored before the next action, so the pod may die at any time.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import assert_never

from dgdr_api.graph import Graph
from dgdr_api.models.dgdr_v1beta1 import ProfilingPhase
from dgdr_profiler.account import Account
from dgdr_profiler.core.actions import (
    Deploy,
    Fail,
    Finish,
    Measure,
    Plan,
    Reject,
    Retire,
    RunState,
)
from dgdr_profiler.core.candidate import Candidate, EngineFacts
from dgdr_profiler.core.errors import CandidateFailed, MeasurementFailed
from dgdr_profiler.core.measured import points_of
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.point_key import engine_key
from dgdr_profiler.core.progress import STARTING, Progress, progress, starting, waiting
from dgdr_profiler.core.report import Ledger
from dgdr_profiler.core.strategy import known, next_action
from dgdr_profiler.ports import Deployments, LoadTool, Records, Tell

logger = logging.getLogger(__name__)

# A pod that does not end: its node is gone, or its process ignores every signal.
MOST_GONE_S = 1800.0
TELL_EVERY_S = 30.0


class NothingMeasured(Exception):
    """The run ended without anything to pick from."""


@dataclass(slots=True)
class Run:
    """One run of the profiler."""

    plan: Plan
    graphs: dict[str, Graph]
    model: str
    deployments: Deployments
    load: LoadTool
    records: Records
    state: RunState = field(default_factory=RunState)
    _account: Account = field(init=False)
    _started_s: float = field(default_factory=time.monotonic)
    _spent_before_s: float = 0.0
    _phase: ProfilingPhase = STARTING.phase

    def __post_init__(self) -> None:
        self._account = Account(self.records)

    async def measure_all(self) -> Selection:
        """Measure until the strategy is content; nothing is left deployed then.

        Raises:
            NothingMeasured: no candidate could be measured.
        """
        # The deadline is the run's, not this pod's: a pod that is replaced gains no time.
        self._spent_before_s = self.records.spent_s(datetime.now(UTC))
        await self._show(starting(self.plan))
        await self._adopt(await self._remember())
        while True:
            await self._free_stuck()
            self.state = replace(self.state, elapsed_s=self._elapsed_s())
            chosen = await self._step()
            if chosen is not None:
                return chosen

    def ledger(self) -> Ledger:
        """Return what all pods of the run spent."""
        labels = {c.id: c.label for c in self.plan.candidates}
        return self._account.ledger(labels, self._elapsed_s())

    def _elapsed_s(self) -> float:
        return self._spent_before_s + time.monotonic() - self._started_s

    async def _step(self) -> Selection | None:
        action = next_action(self.plan, self.state)
        logger.info("next: %s", action)
        shown = progress(self.plan, self.state, action)
        if shown is not None:
            await self._show(shown)
        match action:
            case Deploy(candidate=candidate):
                await self._try(candidate)
            case Measure():
                await self._measure(action)
            case Retire(candidate=candidate):
                await self._retire(candidate)
            case Reject(candidate=candidate, reason=reason, lasting=lasting):
                await self._reject(candidate, CandidateFailed(reason, lasting=lasting))
            case Finish(selection=chosen):
                return chosen
            case Fail(reason=reason):
                raise NothingMeasured(reason)
            case _:
                assert_never(action)
        return None

    async def _remember(self) -> frozenset[str]:
        """Take over what earlier pods stored; return which candidates they left standing."""
        points = await self.records.points()
        stood = await self._account.remember()
        rejected, failures = self._account.rejected, self._account.failures
        self.state = replace(
            self.state,
            points=points,
            rejected=rejected,
            failures=failures,
            fetched=self._account.fetched,
        )
        logger.info("%d points and %d rejections are known", len(points), len(rejected))
        return stood

    async def _adopt(self, stood: frozenset[str]) -> None:
        """Take over what an earlier pod left: it is measured, or makes room.

        Pods that are still ending hold their GPUs, though their deployment stands no more.
        """
        for candidate in self.plan.candidates:
            standing = await self.deployments.standing(self.graphs[candidate.id])
            if standing and candidate.id not in self.state.rejected:
                await self._deploy(candidate)
            elif standing or candidate.id in stood:
                await self._account.begin_stay(candidate)
                await self._retire(candidate)

    async def _try(self, candidate: Candidate) -> None:
        """Deploy, unless others have shown that its image cannot be pulled."""
        told, components = self._account.unpullable, self.graphs[candidate.id].components
        missing = next((c.image for c in components if c.image in told), None)
        if missing is None:
            await self._deploy(candidate)
        else:
            await self._give_up(candidate, CandidateFailed(told[missing]))

    async def _deploy(self, candidate: Candidate) -> None:
        await self._account.begin_stay(candidate)
        graph = self.graphs[candidate.id]
        try:
            facts = await self.deployments.deploy(graph, self.model, self._tell(candidate))
        except CandidateFailed as exc:
            await self._give_up(candidate, exc)
            await self._retire(candidate)
            return
        await self._account.ready(candidate, facts)
        self.state = replace(self.state, deployed={**self.state.deployed, candidate.id: facts})
        await self._reuse(candidate, facts)

    async def _reuse(self, candidate: Candidate, facts: EngineFacts) -> None:
        """Take what other requests measured on the very engine that runs here.

        Limits are those that this run has seen: with others it would ask for other cells.
        """
        subject = self.plan.subjects[candidate.id]
        if subject.gpu_product is None:
            # Their GPUs may have been others.
            return
        there = {point.key for point in self.state.points}
        engine = engine_key(subject, facts.image_digest)
        found = {
            r.point.key: r
            for r in await self.records.measured_elsewhere(engine)
            if r.point.key not in there
        }
        ours = {
            "candidate": candidate.id,
            "max_kv_tokens": facts.max_kv_tokens,
            "max_batch": facts.max_batch,
            "context_length": facts.context_length,
        }
        points = (r.point.model_copy(update=ours) for r in found.values())
        self.state = replace(
            self.state,
            points=(*self.state.points, *points),
            reused={**self.state.reused, **{key: r.owner for key, r in found.items()}},
        )

    async def _retire(self, candidate: Candidate) -> None:
        await self._ask_what_was_fetched(candidate)
        gone = await self._wait_until_gone(candidate)
        deployed = {k: v for k, v in self.state.deployed.items() if k != candidate.id}
        suspect = self.state.suspect - {candidate.id}
        self.state = replace(self.state, deployed=deployed, suspect=suspect)
        if gone:
            await self._account.end_stay(candidate.id)
        else:
            self.state = replace(self.state, stuck=self.state.stuck | {candidate.id})

    async def _ask_what_was_fetched(self, candidate: Candidate) -> None:
        """Ask a pair, while it still stands, what handing its prompts over took."""
        decode = candidate.shape.decode if candidate.shape.is_pair else None
        if decode is None or candidate.id not in self.state.deployed:
            return
        found = await self.deployments.fetched(self.graphs[candidate.id], decode.tp * decode.pp)
        if found is not None:
            await self._account.having_fetched(candidate, found)
            self.state = replace(self.state, fetched=self._account.fetched)

    async def _wait_until_gone(self, candidate: Candidate) -> bool:
        """Wait for the candidate's GPUs to be free, as long as the deadline allows."""
        graph, began_s = self.graphs[candidate.id], time.monotonic()
        limit_s = self.plan.deadline_s
        room_s = MOST_GONE_S if limit_s is None else min(MOST_GONE_S, limit_s - self._elapsed_s())
        while (left := await self.deployments.retire(graph, TELL_EVERY_S)) is not None:
            waited_s = time.monotonic() - began_s
            await self._show(waiting(self.plan, candidate, self._phase, waited_s, left))
            if waited_s > room_s:
                return False
        return True

    async def _free_stuck(self) -> None:
        """Count GPUs as free again whose pods have ended after all."""
        for candidate in self.state.stuck:
            if await self.deployments.retire(self.graphs[candidate], 0) is None:
                self.state = replace(self.state, stuck=self.state.stuck - {candidate})
                await self._account.end_stay(candidate)

    async def _measure(self, action: Measure) -> None:
        candidate, call = action.candidate, action.call
        try:
            measured = await self.load.measure(self.graphs[candidate.id], self.model, call)
        except MeasurementFailed as exc:
            await self._failed(candidate, dict.fromkeys(call.isls, str(exc)))
            return
        found = points_of(call, measured, known(self.plan, self.state, candidate))
        if found.points:
            await self.records.add(found.points)
        self.state = replace(self.state, points=(*self.state.points, *found.points))
        await self._failed(candidate, found.failures)

    async def _failed(self, candidate: Candidate, reasons: Mapping[int, str]) -> None:
        """Store what failed; an engine that still answers is not to blame for it."""
        if not reasons:
            return
        for isl, reason in reasons.items():
            await self._account.failed(candidate, isl, reason)
        answers = await self.deployments.serves(self.graphs[candidate.id], self.model)
        suspect = self.state.suspect | (set() if answers else {candidate.id})
        self.state = replace(self.state, failures=self._account.failures, suspect=suspect)

    async def _reject(self, candidate: Candidate, why: CandidateFailed) -> None:
        await self._account.reject(candidate, why)
        rejected = {**self.state.rejected, candidate.id: str(why)}
        self.state = replace(self.state, rejected=rejected)

    async def _give_up(self, candidate: Candidate, why: CandidateFailed) -> None:
        """Reject a candidate for what its deployment met, and show it."""
        shown = progress(self.plan, self.state, Reject(candidate=candidate, reason=str(why)))
        if shown is not None:
            await self._show(shown)
        await self._reject(candidate, why)

    async def _show(self, shown: Progress) -> None:
        self._phase = shown.phase
        await self.records.show(shown)

    def _tell(self, candidate: Candidate) -> Tell:
        async def tell(waited_s: float, why: str) -> None:
            await self._show(waiting(self.plan, candidate, self._phase, waited_s, why))

        return tell
