"""The cells of the winner's curves."""

import math
from collections.abc import Sequence

from dgdr_profiler.core.cells import Cell, decode_cell, decode_osl, prefill_cell
from dgdr_profiler.core.curves import FEWEST_DECODE
from dgdr_profiler.core.demand import (
    Demand,
    curve_isls,
    decode_isl,
    decode_isls,
    most_of_length,
    with_point,
)
from dgdr_profiler.core.evidence import Evidence
from dgdr_profiler.core.ladder import crossing, ladder, largest_batch
from dgdr_profiler.core.steps import doubtful, measured_steps

# One point above the target on each line, so that whoever reads the curve sees where it ends.
BEYOND_TARGET = 1.25
# Shorter prompts are fed faster, but not without end.
FED_GROWTH = 2.0


def prefill_cells(demand: Demand, known: Evidence) -> tuple[Cell, ...]:
    """Return the cells of the winner's prefill curve."""
    if known.facts is None:
        return ()
    isls = curve_isls(demand, known.facts, known.cache_ranks)
    return tuple(prefill_cell(isl, known.prefill_ranks) for isl in isls)


def decode_cells(demand: Demand, known: Evidence) -> tuple[Cell, ...]:
    """Return the cells of the winner's decode grid, those that judged it included.

    Each context gets a ladder up to just beyond the target, and never more than the engine holds.
    Points that contradict others are measured again, as long as that says something new.
    """
    cells = _decode_grid(demand, known)
    return (*cells, *_again(demand, known, cells))


def _again(demand: Demand, known: Evidence, cells: Sequence[Cell]) -> tuple[Cell, ...]:
    """Return the next measurement of each doubted point at another context than the judged one.

    The rungs that judged the candidate were doubted before they did; what is planned rests on them.
    """
    judged = decode_isl(demand.workload)
    doubted = doubtful(measured_steps(known, cells))
    tries = (known.again(cell) for cell in cells if cell in doubted and cell.isl != judged)
    return tuple(cell for cell in tries if cell is not None)


def _decode_grid(demand: Demand, known: Evidence) -> tuple[Cell, ...]:
    if known.facts is None:
        return ()
    isls = decode_isls(demand, known.facts, known.decode_ranks)
    grid = _grid(demand, known, _spread(isls, decode_isl(demand.workload), demand.decode_points))
    # An engine that holds one request at a time has one point for each context.
    return grid if len(grid) >= FEWEST_DECODE else _grid(demand, known, isls)


def _grid(demand: Demand, known: Evidence, isls: tuple[int, ...]) -> tuple[Cell, ...]:
    osl, ranks = decode_osl(demand.workload.osl), known.decode_ranks
    per_isl = math.ceil(demand.decode_points / len(isls))
    cells = set(ladder(demand, known).rungs)
    for isl in isls:
        if isl != decode_isl(demand.workload):
            top = _top(demand, known, isl)
            cells |= {decode_cell(isl, osl, n) for n in levels(top, per_isl, ranks)}
    return tuple(sorted(cells))


def levels(top: int, count: int, ranks: int = 1) -> tuple[int, ...]:
    """Return ``count`` concurrencies up to ``top``, evenly spaced by ratio; fewer if small.

    Multiples of ``ranks``, the lowest of which is one request for each.
    """
    most = max(top // ranks, 1)
    if count <= 1 or most == 1:
        return (ranks * most,)
    return tuple(sorted({ranks * round(most ** (step / (count - 1))) for step in range(count)}))


def _top(demand: Demand, known: Evidence, isl: int) -> int:
    """Return the largest concurrency worth measuring at another prompt length.

    A step slows down with the tokens that its batch holds, so the crossing moves with the context.
    """
    if known.facts is None:
        return 1
    ranks = known.decode_ranks
    held = most_of_length(known.facts, demand.workload, isl, ranks)
    # More in flight than the one prefill engine can feed would queue there, for minutes.
    most = min(held, round(FED_GROWTH * largest_batch(demand, known)) or held)
    at = crossing(demand, known)
    if at is None or most <= ranks:
        return max(most, ranks)
    half = decode_osl(demand.workload.osl) // 2
    moved = at * (decode_isl(demand.workload) + half) / (isl + half)
    return max(min(2 * ranks, held), min(most, math.ceil(BEYOND_TARGET * moved)))


def _spread(isls: tuple[int, ...], isl: int, points: int) -> tuple[int, ...]:
    """Choose as many contexts as batches: both ends, the judged one, and others between."""
    count = min(len(isls), max(2, math.isqrt(points)))
    if count < 2:
        return (isl,)
    places = {round(step * (len(isls) - 1) / (count - 1)) for step in range(count)}
    return with_point(isl, tuple(isls[place] for place in sorted(places)))
