"""Dense rows for readers that interpolate: upstream's planner, and mockers fed with a profile.

Upstream lays cubics through the rows that it is given. Through ten measured points, scattered and
noisy, they swing by tens of percent, and beyond the points the nearest one counts, as if a full
cache were as fast as what was measured last. So the rows are drawn from our own fit, close enough
together that every way of interpolating agrees. What was measured stays beside them.

The decode rows lie on cells of the grid that upstream looks up: 100 KV usages from 0 to 1 by 100
contexts from 0 to the longest. They are densest near 0, where a step changes fastest with both.
"""

from dataclasses import replace

import numpy as np

from dgdr_api.points import Source
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.curve_fit import Array
from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.prefill_curve import PrefillCurve

PREFILL_ROWS = 33
# Upstream's grid has cells 0 to 99 on each axis. All of the first ones, then ever fewer.
LAST_CELL = 99
FIRST_CELLS = 9
OTHER_CELLS = 14
CELLS: Array = np.unique(
    np.rint(np.append(np.arange(FIRST_CELLS), np.geomspace(FIRST_CELLS, LAST_CELL, OTHER_CELLS)))
)
DIGITS = 6
"""Significant ones: a thousandth of the noise of a good measurement, and half of the size."""


def drawn_prefill(points: PrefillData, gpus: int) -> PrefillData:
    """Return rows between the shortest and the longest measured prompt, on one engine of ``gpus``.

    Raises:
        ProfileError: names the point that cannot be used.
    """
    curve = PrefillCurve.of(points)
    isl = np.unique(np.rint(np.geomspace(min(points.isl), max(points.isl), PREFILL_ROWS)))
    ttft_ms = curve.ttft_of_lengths(isl)
    return replace(
        points,
        isl=tuple(isl.tolist()),
        ttft_ms=_rounded(ttft_ms),
        thpt_per_gpu=_rounded(1000.0 * isl / ttft_ms / gpus * points.ranks),
        points=points,
        provenance=replace(points.provenance, sources=_between(curve.source, len(isl))),
    )


def drawn_decode(points: DecodeData, gpus: int) -> DecodeData:
    """Return rows that cover every KV usage and context of upstream's grid.

    States that no engine is in count as the nearest possible one: less than one request, more
    requests than it runs at once, a context shorter than any that was measured. Where nobody
    measured a row is an estimate.

    Raises:
        ProfileError: names the point that cannot be used.
    """
    surface = DecodeSurface.of(points)
    usage, contexts = _grid(points)
    longest_held = np.maximum(contexts, surface.contexts[0])
    most = points.max_num_seqs or np.inf
    batch = np.clip(usage * points.max_kv_tokens / longest_held, 1.0, most)
    itl_ms = _read(surface, batch, longest_held)
    return replace(
        points,
        kv_usage=_rounded(usage),
        context_length=_rounded(contexts),
        itl_ms=_rounded(itl_ms),
        thpt_per_gpu=_rounded(1000.0 * batch / itl_ms / gpus),
        points=points,
        provenance=replace(
            points.provenance, sources=_sources(surface, points.max_kv_tokens, usage, contexts)
        ),
    )


def _grid(points: DecodeData) -> tuple[Array, Array]:
    """Return KV usage and context of each row; the ends are exact, so that nothing is outside."""
    share = CELLS / LAST_CELL
    usage, context = np.meshgrid(share, share * max(points.context_length))
    return usage.ravel(), context.ravel()


def _read(surface: DecodeSurface, batches: Array, contexts: Array) -> Array:
    itl_ms = np.empty_like(batches)
    for context in np.unique(contexts):
        row = contexts == context
        itl_ms[row] = surface.itl_of_batches(batches[row], float(context))
    return itl_ms


def _sources(
    surface: DecodeSurface, max_kv_tokens: int, usage: Array, contexts: Array
) -> tuple[Source, ...] | None:
    (inside,) = _between(surface.source, 1) or (None,)
    if inside is None:
        return None
    tokens = usage * max_kv_tokens
    return tuple(
        inside if context > 0 and surface.covers(held / context, context) else Source.ESTIMATED
        for held, context in zip(tokens, contexts, strict=True)
    )


def _between(points: Source | None, rows: int) -> tuple[Source, ...] | None:
    """Return the sources of rows between points; what lies between estimates is one, too."""
    if points is None:
        return None
    source = Source.INTERPOLATED if points is Source.MEASURED else points
    return (source,) * rows


def _rounded(values: Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
