"""The cells of the winner's curves."""

import math

from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.cells import Cell, decode_cell, decode_osl, prefill_cell
from dgdr_profiler.core.curves import FEWEST_DECODE
from dgdr_profiler.core.demand import Demand, curve_isls, most_in_flight, with_point
from dgdr_profiler.core.evidence import Evidence
from dgdr_profiler.core.ladder import crossing, ladder, largest_batch

# One point above the target on each line, so that whoever reads the curve sees where it ends.
BEYOND_TARGET = 1.25
# Shorter prompts are fed faster, but not without end.
FED_GROWTH = 2.0


def prefill_cells(demand: Demand, facts: EngineFacts) -> tuple[Cell, ...]:
    """Return the cells of the winner's prefill curve."""
    return tuple(prefill_cell(isl) for isl in curve_isls(demand, facts))


def decode_cells(demand: Demand, known: Evidence) -> tuple[Cell, ...]:
    """Return the cells of the winner's decode grid, those that judged it included.

    Each context gets a ladder up to just beyond the target, and never more than the engine holds.
    """
    if known.facts is None:
        return ()
    isls = curve_isls(demand, known.facts)
    few = _spread(isls, demand.workload.isl, demand.decode_points)
    grid = _grid(demand, known, few)
    # An engine that holds one request at a time has one point for each context.
    return grid if len(grid) >= FEWEST_DECODE else _grid(demand, known, isls)


def _grid(demand: Demand, known: Evidence, isls: tuple[int, ...]) -> tuple[Cell, ...]:
    osl = decode_osl(demand.workload.osl)
    per_isl = math.ceil(demand.decode_points / len(isls))
    cells = set(ladder(demand, known).rungs)
    for isl in isls:
        if isl != demand.workload.isl:
            top = _top(demand, known, isl)
            cells |= {decode_cell(isl, osl, n) for n in levels(top, per_isl)}
    return tuple(sorted(cells))


def levels(top: int, count: int) -> tuple[int, ...]:
    """Return ``count`` concurrencies from 1 to ``top``, evenly spaced by ratio; fewer if small."""
    if count <= 1 or top <= 1:
        return (max(top, 1),)
    return tuple(sorted({round(top ** (step / (count - 1))) for step in range(count)}))


def _top(demand: Demand, known: Evidence, isl: int) -> int:
    """Return the largest concurrency worth measuring at another prompt length.

    A step slows down with the tokens that its batch holds, so the crossing moves with the context.
    """
    if known.facts is None:
        return 1
    held = most_in_flight(known.facts, demand.workload, isl)
    # More in flight than the one prefill engine can feed would queue there, for minutes.
    most = min(held, round(FED_GROWTH * largest_batch(demand, known)) or held)
    at = crossing(demand, known)
    if at is None:
        return most
    half = decode_osl(demand.workload.osl) // 2
    moved = at * (demand.workload.isl + half) / (isl + half)
    return max(2, min(most, math.ceil(BEYOND_TARGET * moved))) if most > 1 else 1


def _spread(isls: tuple[int, ...], isl: int, points: int) -> tuple[int, ...]:
    """Choose as many contexts as batches: both ends, the workload's, and others between."""
    count = min(len(isls), max(2, math.isqrt(points)))
    if count < 2:
        return (isl,)
    places = {round(step * (len(isls) - 1) / (count - 1)) for step in range(count)}
    return with_point(isl, tuple(isls[place] for place in sorted(places)))
