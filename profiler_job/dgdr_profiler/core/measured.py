"""From what the load tool says to points; a doubtful measurement becomes none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.points import Point, PointKind, Source
from dgdr_load.results import LoadResult
from dgdr_profiler.core.cells import Call, Cell
from dgdr_profiler.core.errors import MeasurementFailed
from dgdr_profiler.core.evidence import Evidence

OSL_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One call that came to its end."""

    results: Sequence[LoadResult]
    started_at: datetime
    wall_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Yield:
    """What a call gave: points, and by prompt length why others are missing."""

    points: tuple[Point, ...]
    failures: Mapping[int, str]


def points_of(call: Call, measured: Measured, known: Evidence) -> Yield:
    """Return a point for each cell whose phase can be trusted.

    A phase that lost a request, or had no steady part, describes a lighter load than the one that
    was asked for, and becomes no point.
    """
    by_phase = {result.phase: result for result in measured.results}
    points: list[Point] = []
    failures: dict[int, str] = {}
    for cell in call.cells:
        try:
            points.append(_point(cell, len(call.cells), by_phase, measured, known))
        except MeasurementFailed as exc:
            failures[cell.isl] = str(exc)
    return Yield(points=tuple(points), failures=failures)


def _trusted(cell: Cell, by_phase: Mapping[str, LoadResult]) -> LoadResult:
    result = by_phase.get(cell.phase)
    if result is None:
        raise MeasurementFailed(f"phase {cell.phase} has no result")
    if result.lost:
        why = next(iter(result.error_messages), "they hung, or were cut off")
        raise MeasurementFailed(f"phase {cell.phase} lost {result.lost} of {result.sent}: {why}")
    return result


def _point(
    cell: Cell,
    cells: int,
    by_phase: Mapping[str, LoadResult],
    measured: Measured,
    known: Evidence,
) -> Point:
    result, facts = _trusted(cell, by_phase), known.facts
    if facts is None or result.ttft_ms is None:
        raise MeasurementFailed(f"phase {result.phase} has no time to first token")
    return Point(
        key=known.key(cell),
        engine=known.engine,
        candidate=known.candidate.id,
        kind=cell.kind,
        isl=round(result.isl_mean),
        osl=round(result.osl_mean),
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
        wall_s=round(measured.wall_s / cells, 3),
        **_decode_fields(cell, result),
    )


def _decode_fields(cell: Cell, result: LoadResult) -> Mapping[str, float]:
    if cell.kind is PointKind.PREFILL:
        return {}
    if abs(result.osl_mean - cell.osl) > OSL_TOLERANCE * cell.osl:
        raise MeasurementFailed(
            f"phase {result.phase}: answers had {result.osl_mean:.0f} tokens and not {cell.osl}; "
            "the engine does not honour ignore_eos"
        )
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
