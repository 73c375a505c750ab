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
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.errors import CandidateFailed, MeasurementFailed
from dgdr_profiler.core.measured import points_of
from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.progress import STARTING, progress
from dgdr_profiler.core.report import Ledger, Stay
from dgdr_profiler.core.strategy import known, next_action
from dgdr_profiler.ports import Deployments, LoadTool, Records

logger = logging.getLogger(__name__)


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
    stays: list[Stay] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _up_since_s: dict[str, tuple[float, float]] = field(default_factory=dict)
    _started_s: float = field(default_factory=time.monotonic)
    _spent_before_s: float = 0.0

    async def measure_all(self) -> Selection:
        """Measure until the strategy is content; nothing is left deployed then.

        Raises:
            NothingMeasured: no candidate could be measured.
        """
        # The deadline is the run's, not this pod's: a pod that is replaced gains no time.
        self._spent_before_s = self.records.spent_s(datetime.now(UTC))
        await self.records.show(STARTING)
        self.state = replace(self.state, points=await self.records.points())
        logger.info("%d points are known already", len(self.state.points))
        await self._adopt()
        while True:
            elapsed_s = self._spent_before_s + time.monotonic() - self._started_s
            self.state = replace(self.state, elapsed_s=elapsed_s)
            chosen = await self._step()
            if chosen is not None:
                return chosen

    def ledger(self) -> Ledger:
        """Return what this pod spent."""
        return Ledger(
            stays=tuple(self.stays),
            notes=tuple(self.notes),
            elapsed_s=time.monotonic() - self._started_s,
        )

    async def _step(self) -> Selection | None:
        action = next_action(self.plan, self.state)
        logger.info("next: %s", action)
        shown = progress(self.plan, self.state, action)
        if shown is not None:
            await self.records.show(shown)
        match action:
            case Deploy(candidate=candidate):
                await self._deploy(candidate)
            case Measure():
                await self._measure(action)
            case Retire(candidate=candidate):
                await self._retire(candidate)
            case Reject(candidate=candidate, reason=reason):
                self._reject(candidate, reason)
            case Finish(selection=chosen):
                return chosen
            case Fail(reason=reason):
                raise NothingMeasured(reason)
            case _:
                assert_never(action)
        return None

    async def _adopt(self) -> None:
        """Take over what an earlier pod left standing: it is measured, or makes room."""
        for candidate in self.plan.candidates:
            if await self.deployments.standing(self.graphs[candidate.id]):
                await self._deploy(candidate)

    async def _deploy(self, candidate: Candidate) -> None:
        started_s = time.monotonic()
        self._up_since_s[candidate.id] = (started_s, started_s)
        try:
            facts = await self.deployments.deploy(self.graphs[candidate.id], self.model)
        except CandidateFailed as exc:
            self._reject(candidate, str(exc))
            await self._retire(candidate)
            return
        self._up_since_s[candidate.id] = (started_s, time.monotonic())
        self.state = replace(self.state, deployed={**self.state.deployed, candidate.id: facts})

    async def _retire(self, candidate: Candidate) -> None:
        await self.deployments.retire(self.graphs[candidate.id])
        deployed = {k: v for k, v in self.state.deployed.items() if k != candidate.id}
        suspect = self.state.suspect - {candidate.id}
        self.state = replace(self.state, deployed=deployed, suspect=suspect)
        started_s, ready_s = self._up_since_s.pop(candidate.id)
        self.stays.append(
            Stay(
                candidate=candidate.id,
                gpus=candidate.gpus,
                ready_after_s=ready_s - started_s,
                held_s=time.monotonic() - started_s,
            )
        )

    async def _measure(self, action: Measure) -> None:
        candidate, call = action.candidate, action.call
        try:
            measured = await self.load.measure(self.graphs[candidate.id], self.model, call)
        except MeasurementFailed as exc:
            self._failed(candidate, dict.fromkeys(call.isls, str(exc)))
            return
        found = points_of(call, measured, known(self.plan, self.state, candidate))
        if found.points:
            await self.records.add(found.points)
        self.state = replace(self.state, points=(*self.state.points, *found.points))
        self._failed(candidate, found.failures)

    def _failed(self, candidate: Candidate, reasons: Mapping[int, str]) -> None:
        failures = dict(self.state.failures)
        for isl, reason in reasons.items():
            self._note(f"{candidate.label}, prompt length {isl}: {reason}")
            place = (candidate.id, isl)
            failures[place] = (*failures.get(place, ()), reason)
        suspect = self.state.suspect | ({candidate.id} if reasons else set())
        self.state = replace(self.state, failures=failures, suspect=suspect)

    def _reject(self, candidate: Candidate, reason: str) -> None:
        self._note(f"{candidate.label} given up: {reason}")
        rejected = {**self.state.rejected, candidate.id: reason}
        self.state = replace(self.state, rejected=rejected)

    def _note(self, text: str) -> None:
        logger.warning("%s", text)
        self.notes.append(text)
