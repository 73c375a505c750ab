"""Builders for the profiler's tests, and an engine whose times are known."""

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from dgdr_api.points import Point, PointKind, Source
from dgdr_profiler.core.actions import Plan, RunState
from dgdr_profiler.core.candidate import Candidate, EngineFacts
from dgdr_profiler.core.cells import Call, Cell
from dgdr_profiler.core.demand import Demand
from dgdr_profiler.core.evidence import Evidence, evidence
from dgdr_profiler.core.point_key import EngineSubject, Subject
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.core.strategy import known
from dgdr_profiler.core.targets import Targets, Workload

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DIGEST = "sha256:engine"
FACTS = EngineFacts(image_digest=DIGEST, max_kv_tokens=65536, max_batch=256, context_length=32768)


def pair(gpus: int) -> Candidate:
    """A prefill and a decode engine, each spread over so many GPUs by tensor parallelism."""
    return Candidate.of(Shape.pair(Mapping.tensor(gpus)))


TP1, TP2, TP4 = (pair(n) for n in (1, 2, 4))

# The surrogate of hack/mocker_profiles.py, stretched by four.
PREFILL_SPEED = {1: 1.0, 2: 1.8, 4: 3.24}
DECODE_SPEED = {1: 1.0, 2: 1.6, 4: 2.56}
STRETCH = 4.0


def ttft_ms(tp: int, isl: float) -> float:
    return STRETCH * (18.55 + 0.01411 * isl + 4.919e-7 * isl**2) / PREFILL_SPEED[tp]


def itl_ms(tp: int, batch: float, kv_tokens: float) -> float:
    return STRETCH * (4.452 + 0.022245 * batch + 3.16e-5 * kv_tokens) / DECODE_SPEED[tp]


class Times(Protocol):
    """How long an engine takes."""

    def ttft_ms(self, tp: int, isl: float) -> float: ...

    def itl_ms(self, tp: int, batch: float, kv_tokens: float) -> float: ...


class Surrogate:
    """The times above."""

    def ttft_ms(self, tp: int, isl: float) -> float:
        return ttft_ms(tp, isl)

    def itl_ms(self, tp: int, batch: float, kv_tokens: float) -> float:
        return itl_ms(tp, batch, kv_tokens)


SURROGATE = Surrogate()


def subject(candidate: Candidate) -> Subject:
    return Subject(
        engines=tuple(
            EngineSubject(name=role, role=role, command=(role, candidate.id), gpus=candidate.gpus)
            for role in ("prefill", "decode")
        ),
        model="model",
        gpu_product="NVIDIA-H200",
    )


def demand(
    *,
    isl: int = 2048,
    osl: int = 96,
    ttft: float | None = 300.0,
    itl: float | None = 30.0,
    e2e: float | None = None,
    concurrency: float | None = None,
    rate: float | None = None,
    prefill_points: int = 4,
    decode_points: int = 9,
) -> Demand:
    return Demand(
        workload=Workload(isl=isl, osl=osl, concurrency=concurrency, request_rate_per_s=rate),
        targets=Targets(osl=osl, ttft_ms=ttft, itl_ms=itl, e2e_ms=e2e),
        prefill_points=prefill_points,
        decode_points=decode_points,
    )


def plan(
    *candidates: Candidate,
    of: Demand | None = None,
    gpus_at_once: int | None = 16,
    total_gpus: int | None = None,
    deadline_s: float | None = None,
) -> Plan:
    chosen = candidates or (TP1, TP2, TP4)
    return Plan(
        demand=of or demand(),
        candidates=chosen,
        subjects={c.id: subject(c) for c in chosen},
        gpus_at_once=gpus_at_once,
        total_gpus=total_gpus or gpus_at_once,
        deadline_s=deadline_s,
    )


def evidence_of(
    candidate: Candidate = TP1,
    *points: Point,
    facts: EngineFacts | None = FACTS,
) -> Evidence:
    return evidence(candidate, subject(candidate), facts, points)


def point(
    candidate: Candidate, cell: Cell, facts: EngineFacts = FACTS, times: Times = SURROGATE
) -> Point:
    """Measure a cell on the engine whose times are known."""
    tp, batch = candidate.shape.largest.gpus, float(cell.concurrency)
    found = evidence_of(candidate, facts=facts)
    blank = Point(
        key=found.key(cell),
        engine=found.engine,
        candidate=candidate.id,
        kind=cell.kind,
        isl=cell.isl + 9,
        osl=cell.osl or 8,
        concurrency=cell.concurrency,
        ttft_ms=times.ttft_ms(tp, cell.isl + 9),
        requests=5,
        completed=5,
        image_digest=facts.image_digest,
        gpus=candidate.engine_gpus(cell.kind),
        max_kv_tokens=facts.max_kv_tokens,
        max_batch=facts.max_batch,
        context_length=facts.context_length,
        source=Source.MEASURED,
        started_at=NOW,
        wall_s=4.0,
    )
    if cell.kind is PointKind.PREFILL:
        return blank
    itl = times.itl_ms(tp, batch, batch * (blank.isl + blank.osl / 2))
    return blank.model_copy(
        update={
            "effective_concurrency": batch,
            "itl_ms": itl,
            "output_tokens_per_s": 1000 * batch / itl,
        }
    )


@dataclass
class Machine:
    """Carries actions out in no time, and counts what it was asked for.

    ``spoiled`` are cells during which something else was going on: their tokens took longer.
    """

    plan: Plan
    state: RunState = field(default_factory=RunState)
    facts: EngineFacts = FACTS
    times: Times = SURROGATE
    spoiled: MappingOf[Cell, float] = field(default_factory=dict)
    measured: list[tuple[str, Cell]] = field(default_factory=list)
    most_gpus: int = 0

    def deploy(self, candidate: Candidate) -> None:
        assert candidate.id not in self.state.deployed
        up = {**self.state.deployed, candidate.id: self.facts}
        self.state = replace(self.state, deployed=up)
        held = sum(c.gpus for c in self.plan.candidates if c.id in up)
        self.most_gpus = max(self.most_gpus, held)

    def retire(self, candidate: Candidate) -> None:
        assert candidate.id in self.state.deployed
        up = {k: v for k, v in self.state.deployed.items() if k != candidate.id}
        suspect = self.state.suspect - {candidate.id}
        self.state = replace(self.state, deployed=up, suspect=suspect)

    def measure(self, candidate: Candidate, call: Call) -> None:
        assert candidate.id in self.state.deployed
        assert known(self.plan, self.state, candidate).missing(call.cells) == call.cells
        points = tuple(self.point(candidate, cell) for cell in call.cells)
        self.measured += [(candidate.id, cell) for cell in call.cells]
        self.state = replace(self.state, points=(*self.state.points, *points))

    def point(self, candidate: Candidate, cell: Cell) -> Point:
        found = point(candidate, cell, self.facts, self.times)
        factor = self.spoiled.get(cell, 1.0)
        return found.model_copy(update={"itl_ms": found.itl_ms and factor * found.itl_ms})

    def fail(self, candidate: Candidate, call: Call) -> None:
        failures = dict(self.state.failures)
        for isl in call.isls:
            place = (candidate.id, isl)
            failures[place] = (*failures.get(place, ()), "requests were lost")
        suspect = self.state.suspect | {candidate.id}
        self.state = replace(self.state, failures=failures, suspect=suspect)

    def reject(self, candidate: Candidate, reason: str) -> None:
        self.state = replace(self.state, rejected={**self.state.rejected, candidate.id: reason})

    def die(self) -> None:
        """Lose all but the stored points, as a killed pod does; its deployments stand still."""
        self.state = RunState(points=self.state.points)
