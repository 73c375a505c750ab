"""What measurements say together: where tokens become too slow, and which to doubt."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from dgdr_api.points import Point
from dgdr_profiler.core.cells import Cell
from dgdr_profiler.core.evidence import Evidence

# A larger batch is never faster, and neither is one of longer contexts. Means of many steps differ
# by a few percent from one time to the next; by more than this only when something else was going
# on.
NOISE_TOLERANCE = 1.1


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """A decode cell, as it was measured."""

    concurrency: int
    batch: float
    itl_ms: float
    tokens_per_s: float
    cell: Cell


def steps_of(known: Evidence, cells: Sequence[Cell]) -> list[Step] | None:
    """Return the measured ladder, lowest rung first; None while a rung is missing."""
    return None if known.missing(cells) else measured_steps(known, cells)


def measured_steps(known: Evidence, cells: Iterable[Cell]) -> list[Step]:
    """Return the cells that were measured, the least in flight first."""
    return sorted(
        Step(cell.concurrency, _batch(point), point.itl_ms, point.output_tokens_per_s, cell)
        for cell, point in ((c, known.get(c)) for c in cells)
        if point and point.itl_ms and point.output_tokens_per_s
    )


def _batch(point: Point) -> float:
    return point.effective_concurrency or float(point.concurrency)


def doubtful(steps: Iterable[Step]) -> frozenset[Cell]:
    """Return the cells that contradict the most others; often there is none.

    One that is too slow contradicts all larger batches of contexts as long or longer, and each of
    those only this one. Of two that contradict nobody else either may be wrong.
    """
    doubts = Counter(
        step.cell
        for low, high in combinations(sorted(steps, key=_size), 2)
        if low.cell.isl <= high.cell.isl and low.itl_ms > NOISE_TOLERANCE * high.itl_ms
        for step in (low, high)
    )
    return frozenset(cell for cell, count in doubts.items() if count == max(doubts.values()))


def _size(step: Step) -> tuple[float, int]:
    return step.batch, step.cell.isl


def itl_ms_at(steps: Sequence[Step], concurrency: int) -> float:
    """Read the line between the rungs around a concurrency, or the one through both ends."""
    above = [s for s in steps if s.concurrency >= concurrency]
    below = [s for s in steps if s.concurrency < concurrency]
    low = below[-1] if below and above else steps[0]
    high = above[0] if above else steps[-1]
    if high.concurrency == low.concurrency:
        return low.itl_ms
    share = (concurrency - low.concurrency) / (high.concurrency - low.concurrency)
    return low.itl_ms + share * (high.itl_ms - low.itl_ms)


def crossing_at(steps: Sequence[Step], limit_ms: float) -> int | None:
    """Return the concurrency at which tokens become too slow; None when the highest rung holds.

    Behind the highest rung that holds: a slower one below it is odd, but no limit. The lowest rung
    when none holds.
    """
    holding = [place for place, step in enumerate(steps) if step.itl_ms <= limit_ms]
    if not holding:
        return steps[0].concurrency
    if holding[-1] == len(steps) - 1:
        return None
    before, step = steps[holding[-1]], steps[holding[-1] + 1]
    share = (limit_ms - before.itl_ms) / (step.itl_ms - before.itl_ms)
    return int(before.concurrency + (step.concurrency - before.concurrency) * share)


def reach(steps: Sequence[Step], limit_ms: float) -> float:
    """Return where the line through both ends would cross the target; infinite for a flat one."""
    low, top = steps[0], steps[-1]
    rise = top.itl_ms - low.itl_ms
    if rise <= 0 or math.isinf(limit_ms):
        return math.inf
    return low.concurrency + (top.concurrency - low.concurrency) * (limit_ms - low.itl_ms) / rise
