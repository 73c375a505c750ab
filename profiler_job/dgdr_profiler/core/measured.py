"""From what the load tool says to points; a doubtful measurement becomes none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.points import Point, PointKind, Source
from dgdr_load.results import LoadResult
from dgdr_profiler.core.cells import Call, Cell, prefill_ranks
from dgdr_profiler.core.errors import MeasurementFailed
from dgdr_profiler.core.evidence import Evidence
from dgdr_profiler.core.waves import prompt_ms

# Prompts and answers may differ from what was asked for by so much: a share, and what one word more
# or less makes in a short prompt.
LENGTH_TOLERANCE = 0.05
ISL_TOLERANCE_TOKENS = 4
# A lost request among many says little about the others, which are measured without it.
LOST_SHARE = 0.02


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

    A phase that lost more than a few requests, had no steady part or other lengths than were asked
    for describes another load, and one with figures that are no numbers none at all: they become
    no point.
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
    if result.lost > max(1, LOST_SHARE * result.sent):
        why = next(iter(result.error_messages), "they hung, or were cut off")
        raise MeasurementFailed(f"phase {cell.phase} lost {result.lost} of {result.sent}: {why}")
    _check_lengths(cell, result)
    return result


def _check_lengths(cell: Cell, result: LoadResult) -> None:
    isl, osl = result.isl_mean, result.osl_mean
    if isl == 0:
        raise MeasurementFailed(
            f"phase {result.phase}: prompts had 0 tokens and not {cell.isl}; the endpoint does not "
            "count them, its streamed answers must end with usage"
        )
    # Written so that what is no number fails too.
    if not abs(isl - cell.isl) <= max(ISL_TOLERANCE_TOKENS, LENGTH_TOLERANCE * cell.isl):
        raise MeasurementFailed(
            f"phase {result.phase}: prompts had {isl:.0f} tokens and not {cell.isl}; "
            "the model's chat template is longer, or its tokenizer counts words unevenly"
        )
    if not abs(osl - cell.asked_osl) <= LENGTH_TOLERANCE * cell.asked_osl:
        raise MeasurementFailed(
            f"phase {result.phase}: answers had {osl:.0f} tokens and not {cell.asked_osl}; "
            "the engine does not honour ignore_eos"
        )


def _point(
    cell: Cell,
    cells: int,
    by_phase: Mapping[str, LoadResult],
    measured: Measured,
    known: Evidence,
) -> Point:
    result, facts = _trusted(cell, by_phase), known.facts
    if facts is None:
        raise MeasurementFailed(f"phase {result.phase}: the engine's image is not known")
    return Point(
        key=known.key(cell),
        engine=known.engine,
        candidate=known.candidate.id,
        kind=cell.kind,
        isl=round(result.isl_mean),
        osl=round(result.osl_mean),
        concurrency=cell.concurrency,
        ttft_ms=_ttft_ms(cell, result),
        requests=result.sent,
        completed=result.completed,
        errors=result.errors,
        image_digest=facts.image_digest,
        gpus=known.candidate.engine_gpus(cell.kind),
        max_kv_tokens=facts.max_kv_tokens,
        max_batch=facts.max_batch,
        context_length=facts.context_length,
        source=Source.MEASURED,
        started_at=measured.started_at,
        wall_s=round(measured.wall_s / cells, 3),
        **_decode_fields(cell, result),
    )


def _ttft_ms(cell: Cell, result: LoadResult) -> float:
    if result.ttft_ms is None:
        raise MeasurementFailed(f"phase {result.phase} has no time to first token")
    ranks = prefill_ranks(cell.concurrency) if cell.kind is PointKind.PREFILL else 1
    ttft_ms = prompt_ms(result.requests, ranks) if ranks > 1 else result.ttft_ms.p50
    return _number(result, "a time to first token in ms", ttft_ms)


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
        "effective_concurrency": _number(result, "a batch", steady.batch),
        "itl_ms": _number(result, "a time between tokens in ms", steady.itl_ms),
        "output_tokens_per_s": _number(result, "tokens per second", steady.output_tokens_per_s),
    }


def _number(result: LoadResult, name: str, value: float) -> float:
    """Return a figure, rounded; whatever is not a number above zero was not measured."""
    rounded = round(value, 3) if math.isfinite(value) else value
    if not (math.isfinite(value) and rounded > 0):
        raise MeasurementFailed(
            f"phase {result.phase}: the load tool reports {value} as {name}; it must be above 0"
        )
    return rounded
