"""Measured points as one row per candidate, judged at the operating point that counts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.effective import EffectiveSpec
from dgdr_api.points import Point, PointKind, Source
from dgdr_cli.report import Report
from dgdr_cli.shape_name import ShapeName


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One candidate at the operating point that counts; ``None`` is not measured.

    ``kinds`` are the curves that it gives. Of one that ``is_aggregated`` each kind of work was
    measured without the other.
    """

    name: str
    gpus: int
    ttft_ms: float | None
    itl_ms: float | None
    output_tokens_per_s_per_gpu: float | None
    points: int
    estimated: bool
    missed: tuple[str, ...]
    picked_for: tuple[str, ...]
    kinds: tuple[PointKind, ...] = (PointKind.PREFILL, PointKind.DECODE)
    is_aggregated: bool = False

    @property
    def measured(self) -> bool:
        """Whether there is a figure for everything that it gives."""
        figures = {PointKind.PREFILL: self.ttft_ms, PointKind.DECODE: self.itl_ms}
        return all(figures[kind] is not None for kind in self.kinds)


def candidates_of(
    points: Sequence[Point], wanted: EffectiveSpec, report: Report
) -> tuple[Candidate, ...]:
    """Return one row per candidate, in the order in which they were first measured."""
    names = dict.fromkeys(point.candidate for point in sorted(points, key=_started))
    return tuple(
        _candidate(name, [p for p in points if p.candidate == name], wanted, report.roles_of(name))
        for name in names
    )


def _candidate(
    name: str, points: Sequence[Point], wanted: EffectiveSpec, picked_for: tuple[str, ...]
) -> Candidate:
    shape = ShapeName.of(name)
    prefill = _prefill_point(points, wanted.isl)
    ttft_ms = prefill.ttft_ms if prefill else None
    decode = _decode_point(points, _itl_target_ms(wanted, ttft_ms))
    itl_ms = decode.itl_ms if decode else None
    gpus = [point.gpus for point in (prefill, decode) if point]
    return Candidate(
        name=shape.label,
        gpus=max(gpus, default=0) if shape.is_aggregated else sum(gpus),
        ttft_ms=ttft_ms,
        itl_ms=itl_ms,
        output_tokens_per_s_per_gpu=_per_gpu(decode),
        points=len(points),
        estimated=any(point.source is Source.ESTIMATED for point in points),
        missed=_missed(
            ("TTFT", ttft_ms, wanted.ttft_ms or wanted.e2e_latency_ms),
            ("ITL", itl_ms, _itl_target_ms(wanted, ttft_ms)),
        ),
        picked_for=picked_for,
        kinds=shape.kinds,
        is_aggregated=shape.is_aggregated,
    )


def _itl_target_ms(wanted: EffectiveSpec, ttft_ms: float | None) -> float | None:
    """Return the target between tokens; of one for the whole request what the first token left."""
    if wanted.e2e_latency_ms is None:
        return wanted.itl_ms
    return max(0.0, wanted.e2e_latency_ms - (ttft_ms or 0.0)) / max(1, wanted.osl - 1)


def _prefill_point(points: Iterable[Point], isl: int) -> Point | None:
    """Return the prompt length nearest to the workload's: what the target speaks about."""
    prefill = [p for p in points if p.kind is PointKind.PREFILL and p.ttft_ms is not None]
    return min(prefill, key=lambda point: abs(point.isl - isl), default=None)


def _decode_point(points: Iterable[Point], itl_target_ms: float | None) -> Point | None:
    """Return the most productive point within the target, else the fastest one."""
    decode = [p for p in points if p.kind is PointKind.DECODE and p.itl_ms is not None]
    within = [p for p in decode if itl_target_ms is None or (p.itl_ms or 0) <= itl_target_ms]
    if within:
        return max(within, key=lambda point: _per_gpu(point) or 0)
    return min(decode, key=lambda point: point.itl_ms or 0, default=None)


def _per_gpu(point: Point | None) -> float | None:
    if point is None or point.output_tokens_per_s is None or not point.gpus:
        return None
    return point.output_tokens_per_s / point.gpus


def _missed(*measures: tuple[str, float | None, float | None]) -> tuple[str, ...]:
    return tuple(
        name
        for name, value, target in measures
        if value is not None and target is not None and value > target
    )


def _started(point: Point) -> datetime:
    return point.started_at
