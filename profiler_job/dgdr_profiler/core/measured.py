"""From what the load tool says to points; a doubtful measurement becomes none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.points import Point, PointKind, Source
from dgdr_load.load import LoadPhase
from dgdr_load.results import LoadResult
from dgdr_profiler.core.cells import Call, Cell, phase_of
from dgdr_profiler.core.errors import MeasurementFailed
from dgdr_profiler.core.evidence import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One call that came to its end."""

    results: Sequence[LoadResult]
    started_at: datetime
    wall_s: float


def points_of(call: Call, measured: Measured, known: Evidence) -> tuple[Point, ...]:
    """Return a point for each cell of a call.

    Raises:
        MeasurementFailed: a request was lost, or a phase had no steady part; what is left would
            describe a lighter load than the one that was asked for.
    """
    by_phase = {result.phase: result for result in measured.results}
    _check_complete(measured.results, call.phases())
    return tuple(
        _point(cell, call, by_phase[phase_of(cell)], measured, known) for cell in call.cells
    )


def _check_complete(results: Sequence[LoadResult], phases: Sequence[LoadPhase]) -> None:
    lost = {r.phase: f"{r.lost} of {r.sent}" for r in results if r.lost}
    if lost:
        errors = [text for r in results for text in r.error_messages]
        why = errors[0] if errors else "they hung, or were cut off"
        raise MeasurementFailed(f"requests were lost, by phase: {lost}; {why}")
    missing = {p.name for p in phases} - {r.phase for r in results}
    if missing:
        raise MeasurementFailed(f"phases without a result: {', '.join(sorted(missing))}")


def _point(
    cell: Cell, call: Call, result: LoadResult, measured: Measured, known: Evidence
) -> Point:
    facts = known.facts
    if facts is None or result.ttft_ms is None:
        raise MeasurementFailed(f"phase {result.phase} has no time to first token")
    return Point(
        key=known.key(cell),
        candidate=known.candidate.id,
        kind=cell.kind,
        isl=round(result.isl_mean),
        osl=call.osl,
        concurrency=cell.concurrency,
        ttft_ms=round(result.ttft_ms.p50, 3),
        requests=result.sent,
        completed=result.completed,
        errors=result.errors,
        image_digest=facts.image_digest,
        gpus=known.candidate.engine_gpus,
        max_kv_tokens=facts.max_kv_tokens,
        max_batch=facts.max_batch,
        context_length=facts.context_length,
        source=Source.MEASURED,
        started_at=measured.started_at,
        wall_s=round(measured.wall_s / len(call.cells), 3),
        **_decode_fields(cell, result),
    )


def _decode_fields(cell: Cell, result: LoadResult) -> Mapping[str, float]:
    if cell.kind is PointKind.PREFILL:
        return {}
    steady = result.steady
    if steady is None:
        raise MeasurementFailed(
            f"phase {result.phase}: {cell.concurrency} requests were never in flight together "
            "for long enough"
        )
    return {
        "effective_concurrency": round(steady.batch, 3),
        "itl_ms": round(steady.itl_ms, 3),
        "output_tokens_per_s": round(steady.output_tokens_per_s, 3),
    }
