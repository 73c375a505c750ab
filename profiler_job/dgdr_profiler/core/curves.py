"""From measured points to the two curves, by upstream's formulas."""

from collections.abc import Iterable

from dgdr_api.points import Point
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import Provenance
from dgdr_profiler.core.cells import prefill_ranks

# Upstream's planner interpolates prefill with cubics, which need four points.
FEWEST_PREFILL = 4
# A surface over two axes needs three points that are not on one line; one more shows its bend.
FEWEST_DECODE = 4


class TooFewPoints(Exception):
    """What was measured is no curve yet."""


def prefill_data(points: Iterable[Point]) -> PrefillData:
    """Return the prefill curve, shortest prompt first.

    Raises:
        TooFewPoints: fewer than upstream's planner can use.
    """
    rows = {p.isl: p for p in points if p.ttft_ms and p.gpus}
    if len(rows) < FEWEST_PREFILL:
        raise TooFewPoints(
            f"{len(rows)} prefill points were measured; a curve needs {FEWEST_PREFILL}"
        )
    ordered = [rows[isl] for isl in sorted(rows)]
    ttft_ms = [p.ttft_ms or 0.0 for p in ordered]
    return PrefillData(
        isl=tuple(float(p.isl) for p in ordered),
        ttft_ms=tuple(ttft_ms),
        thpt_per_gpu=tuple(
            1000 * p.isl / ttft / p.gpus * prefill_ranks(p.concurrency)
            for p, ttft in zip(ordered, ttft_ms, strict=True)
        ),
        ranks=min(prefill_ranks(p.concurrency) for p in ordered),
        provenance=_provenance(ordered),
    )


def decode_data(points: Iterable[Point], max_kv_tokens: int) -> DecodeData:
    """Return the decode surface, shortest context and smallest batch first.

    The batch of a point is what was reached, not what was asked for.

    Raises:
        TooFewPoints: no surface can be laid through them.
    """
    rows = sorted((p for p in points if _usable(p)), key=lambda p: (context(p), batch(p)))
    if len(rows) < FEWEST_DECODE:
        raise TooFewPoints(
            f"{len(rows)} decode points were measured; a surface needs {FEWEST_DECODE}"
        )
    return DecodeData(
        kv_usage=tuple(context(p) * batch(p) / max_kv_tokens for p in rows),
        context_length=tuple(context(p) for p in rows),
        itl_ms=tuple(p.itl_ms or 0.0 for p in rows),
        thpt_per_gpu=tuple((p.output_tokens_per_s or 0.0) / p.gpus for p in rows),
        max_kv_tokens=max_kv_tokens,
        max_num_seqs=min((p.max_batch for p in rows if p.max_batch), default=None),
        provenance=_provenance(rows),
    )


def _provenance(points: Iterable[Point]) -> Provenance:
    return Provenance(sources=tuple(point.source for point in points))


def context(point: Point) -> float:
    """Mean tokens that a request of the point holds while it decodes."""
    return point.isl + point.osl / 2


def batch(point: Point) -> float:
    """Requests that were decoded together: what was reached, not what was asked for."""
    return point.effective_concurrency or float(point.concurrency)


def _usable(point: Point) -> bool:
    return bool(point.itl_ms and point.output_tokens_per_s and point.gpus)
