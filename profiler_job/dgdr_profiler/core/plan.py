"""Which cells a candidate needs: few to be judged by, more when it has won."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dgdr_api.points import Point, Source
from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.cells import Cell, decode_cell, decode_osl, prefill_cell
from dgdr_profiler.core.curves import FEWEST_DECODE, FEWEST_PREFILL
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.evidence import Evidence
from dgdr_profiler.core.targets import Targets, Workload

DEFAULT_PREFILL_POINTS = 6
DEFAULT_DECODE_POINTS = 9

# Upstream's limit of what one load generator keeps in flight.
MAX_CONCURRENCY = 2000
# What most engines' targets lie below; the ladder grows where they do not.
FIRST_TOP = 64
RUNG_RATIO = 4
# Of the requests in flight, so many have to decode; the others queue for the prefill engine, and
# more of them would only queue longer.
FED = 0.7
# Upstream's head-room for chat template and system prompt; its smallest prompt.
TEMPLATE_TOKENS = 512
SHORTEST_ISL = 64
SHORTEST_CURVE_END = 512
# Prompt lengths of real traffic spread about this much around their mean.
CURVE_BELOW, CURVE_ABOVE = 8, 3
# One point above the target on each line, so that whoever reads the curve sees where it ends.
BEYOND_TARGET = 1.25
# Shorter prompts are fed faster, but not without end.
FED_GROWTH = 2.0
# Close enough to the target not to look for the edge any closer.
EDGE_TOLERANCE = 1.2
EDGE_MARGIN = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a run has to find out."""

    workload: Workload
    targets: Targets
    prefill_points: int = DEFAULT_PREFILL_POINTS
    decode_points: int = DEFAULT_DECODE_POINTS


def most_in_flight(facts: EngineFacts, workload: Workload, isl: int) -> int:
    """Return how many requests of ``isl`` tokens one engine can hold at once.

    More would queue, and what is called a batch of n would be none.

    Raises:
        CandidateFailed: the engine does not say, or cannot hold a single request.
    """
    if facts.max_kv_tokens is None:
        raise CandidateFailed(
            "the decode worker does not say how many tokens its KV cache holds: its "
            "DynamoWorkerMetadata has no total_kv_blocks or kv_cache_block_size"
        )
    tokens = isl + max(workload.osl, decode_osl(workload.osl))
    if facts.context_length is not None and tokens > facts.context_length:
        raise CandidateFailed(
            f"a prompt of {isl} and an answer of {tokens - isl} tokens exceed the engine's "
            f"context length of {facts.context_length}"
        )
    held = facts.max_kv_tokens // tokens
    if held < 1:
        raise CandidateFailed(
            f"a KV cache of {facts.max_kv_tokens} tokens does not hold one request of {tokens}"
        )
    wanted = math.inf if workload.concurrency is None else math.ceil(workload.concurrency)
    return int(min(held, facts.max_batch or math.inf, wanted, MAX_CONCURRENCY))


def levels(top: int, count: int) -> tuple[int, ...]:
    """Return ``count`` concurrencies from 1 to ``top``, evenly spaced by ratio; fewer if small."""
    if count <= 1 or top <= 1:
        return (max(top, 1),)
    return tuple(sorted({round(top ** (step / (count - 1))) for step in range(count)}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Batches of one candidate at the workload's prompt length.

    ``rungs`` are all measured once the candidate is judged; ``another`` is worth a measurement of
    its own if the candidate looks like the winner.
    """

    rungs: tuple[Cell, ...]
    another: Cell | None = None


def ladder(demand: Demand, known: Evidence) -> Ladder:
    """Return the ladder as far as it can be named now.

    It starts with three rungs, and grows until it crosses the target; the last one is just below
    the crossing.

    Raises:
        CandidateFailed: the engine cannot be judged.
    """
    if known.facts is None:
        return Ladder(rungs=())
    isl, osl = demand.workload.isl, decode_osl(demand.workload.osl)
    most = most_in_flight(known.facts, demand.workload, isl)
    _check_room(demand, known.facts)
    rungs = tuple(decode_cell(isl, osl, n) for n in _first_rungs(min(most, FIRST_TOP)))
    while (steps := _steps(known, rungs)) is not None:
        higher = _next_rung(steps, _itl_limit_ms(demand, known), most)
        another = None if higher is None else decode_cell(isl, osl, higher)
        if another is None or another in rungs:
            break
        if known.get(another) is None:
            return Ladder(rungs=rungs, another=another)
        rungs = (*rungs, another)
    return Ladder(rungs=rungs)


def judging_cells(demand: Demand, known: Evidence) -> tuple[Cell, ...]:
    """Return the cells that a candidate is judged by; none before it was ever deployed."""
    if known.facts is None:
        return ()
    return (prefill_cell(demand.workload.isl), *ladder(demand, known).rungs)


def estimate(demand: Demand, known: Evidence, cell: Cell) -> Point | None:
    """Return what a rung that was not measured would show, read off the measured ones.

    It only decides whether the rung is worth measuring, and is marked as an estimate.
    """
    rungs = ladder(demand, known).rungs
    steps = _steps(known, rungs)
    model = known.get(rungs[0]) if rungs else None
    if not steps or model is None:
        return None
    below = [s for s in steps if s.concurrency < cell.concurrency] or steps[:1]
    near, batch = below[-1], cell.concurrency * below[-1].batch / below[-1].concurrency
    itl_ms = _itl_at(steps, cell.concurrency)
    per_slot = near.tokens_per_s * near.itl_ms / near.batch
    return model.model_copy(
        update={
            "key": known.key(cell),
            "concurrency": cell.concurrency,
            "effective_concurrency": batch,
            "itl_ms": itl_ms,
            "output_tokens_per_s": per_slot * batch / itl_ms,
            "source": Source.ESTIMATED,
            "requests": 0,
            "completed": 0,
            "wall_s": 0.0,
        }
    )


def crossing(demand: Demand, known: Evidence) -> int | None:
    """Return the concurrency at which tokens become too slow; None when none of the ladder is.

    Interpolated between the two rungs that the target lies between; the lowest rung when even that
    is too slow.
    """
    steps = _steps(known, ladder(demand, known).rungs)
    return None if not steps else _crossing(steps, _itl_limit_ms(demand, known))


def curve_isls(demand: Demand, facts: EngineFacts) -> tuple[int, ...]:
    """Return the prompt lengths of the curves: around the workload's, and with it."""
    isl = demand.workload.isl
    longest = max(CURVE_ABOVE * isl, SHORTEST_CURVE_END)
    answer = max(demand.workload.osl, decode_osl(demand.workload.osl))
    for limit in (facts.context_length, facts.max_kv_tokens):
        if limit is not None:
            longest = min(longest, limit - TEMPLATE_TOKENS - answer)
    low = min(max(SHORTEST_ISL, isl // CURVE_BELOW), isl)
    return _with(isl, _geometric(low, max(longest, isl), demand.prefill_points))


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


def _check_room(demand: Demand, facts: EngineFacts) -> None:
    """Refuse before measuring what could not become a curve afterwards."""
    if len(curve_isls(demand, facts)) < FEWEST_PREFILL:
        raise CandidateFailed(
            f"a context length of {facts.context_length} and a KV cache of {facts.max_kv_tokens} "
            f"tokens leave no room for {FEWEST_PREFILL} prompt lengths around "
            f"{demand.workload.isl}"
        )


def _itl_limit_ms(demand: Demand, known: Evidence) -> float:
    prefill = known.get(prefill_cell(demand.workload.isl))
    ttft_ms = prefill.ttft_ms if prefill and prefill.ttft_ms is not None else 0.0
    return demand.targets.itl_limit_ms(ttft_ms)


@dataclass(frozen=True, slots=True, order=True)
class _Step:
    """A rung of the ladder, as it was measured."""

    concurrency: int
    batch: float
    itl_ms: float
    tokens_per_s: float


def _first_rungs(top: int) -> tuple[int, ...]:
    return tuple(sorted({1, max(1, round(top / RUNG_RATIO)), top}))


def _steps(known: Evidence, cells: Sequence[Cell]) -> list[_Step] | None:
    """Return the measured ladder, lowest rung first; None while a rung is missing."""
    if known.missing(cells):
        return None
    return sorted(
        _Step(cell.concurrency, _batch(point), point.itl_ms, point.output_tokens_per_s)
        for cell, point in _measured(known, cells)
        if point.itl_ms and point.output_tokens_per_s
    )


def _batch(point: Point) -> float:
    return point.effective_concurrency or float(point.concurrency)


def _itl_at(steps: Sequence[_Step], concurrency: int) -> float:
    """Read the line between the rungs around a concurrency, or the one through both ends."""
    above = [s for s in steps if s.concurrency >= concurrency]
    below = [s for s in steps if s.concurrency < concurrency]
    low = below[-1] if below and above else steps[0]
    high = above[0] if above else steps[-1]
    if high.concurrency == low.concurrency:
        return low.itl_ms
    share = (concurrency - low.concurrency) / (high.concurrency - low.concurrency)
    return low.itl_ms + share * (high.itl_ms - low.itl_ms)


def _next_rung(steps: Sequence[_Step], limit_ms: float, most: int) -> int | None:
    """Return the next concurrency worth a look, or None when the ladder is good enough.

    Just below the target where the ladder crosses it; further up where it does not, as long as the
    prefill engine still fed what was asked for.
    """
    holding = [s.concurrency for s in steps if s.itl_ms <= limit_ms]
    if not holding:
        return None
    at = _crossing(steps, limit_ms)
    if at is not None:
        edge = int(EDGE_MARGIN * at)
        return edge if edge > EDGE_TOLERANCE * max(holding) else None
    top = steps[-1]
    if top.concurrency >= most or top.batch < FED * top.concurrency:
        return None
    higher = min(most, RUNG_RATIO * top.concurrency, int(EDGE_MARGIN * _beyond(steps, limit_ms)))
    return higher if higher > EDGE_TOLERANCE * top.concurrency else None


def _beyond(steps: Sequence[_Step], limit_ms: float) -> float:
    """Return where the line through both ends of the ladder would cross the target."""
    low, top = steps[0], steps[-1]
    rise = top.itl_ms - low.itl_ms
    if rise <= 0 or math.isinf(limit_ms):
        return float(RUNG_RATIO * top.concurrency)
    return low.concurrency + (top.concurrency - low.concurrency) * (limit_ms - low.itl_ms) / rise


def _measured(known: Evidence, cells: Iterable[Cell]) -> list[tuple[Cell, Point]]:
    return [(c, p) for c in cells if (p := known.get(c)) is not None]


def _crossing(steps: Sequence[_Step], limit_ms: float) -> int | None:
    before: _Step | None = None
    for step in steps:
        if step.itl_ms > limit_ms:
            if before is None:
                return step.concurrency
            share = (limit_ms - before.itl_ms) / (step.itl_ms - before.itl_ms)
            return int(before.concurrency + (step.concurrency - before.concurrency) * share)
        before = step
    return None


def _top(demand: Demand, known: Evidence, isl: int) -> int:
    """Return the largest concurrency worth measuring at another prompt length.

    A step slows down with the tokens that its batch holds, so the crossing moves with the context.
    """
    if known.facts is None:
        return 1
    held = most_in_flight(known.facts, demand.workload, isl)
    # More in flight than the one prefill engine can feed would queue there, for minutes.
    most = min(held, round(FED_GROWTH * _largest_batch(demand, known)) or held)
    at = crossing(demand, known)
    if at is None:
        return most
    half = decode_osl(demand.workload.osl) // 2
    moved = at * (demand.workload.isl + half) / (isl + half)
    return max(2, min(most, math.ceil(BEYOND_TARGET * moved))) if most > 1 else 1


def _largest_batch(demand: Demand, known: Evidence) -> float:
    """Return the largest batch that was reached while the candidate was judged.

    Only that: a plan that changed with every point of the curve would never be done.
    """
    judged = _measured(known, ladder(demand, known).rungs)
    return max((p.effective_concurrency or 0.0 for _, p in judged), default=0.0)


def _geometric(low: int, high: int, count: int) -> tuple[int, ...]:
    if count <= 1 or high <= low:
        return (low,)
    ratio = high / low
    return tuple(sorted({round(low * ratio ** (step / (count - 1))) for step in range(count)}))


def _with(value: int, grid: tuple[int, ...]) -> tuple[int, ...]:
    """Move the inner point nearest to ``value`` onto it; both ends stay."""
    if value in grid or len(grid) < 3:
        return tuple(sorted({*grid, value}))
    nearest = min(grid[1:-1], key=lambda point: abs(math.log(point / value)))
    return tuple(sorted({value, *grid} - {nearest}))


def _spread(isls: tuple[int, ...], isl: int, points: int) -> tuple[int, ...]:
    """Choose as many contexts as batches: both ends, the workload's, and others between."""
    count = min(len(isls), max(2, math.isqrt(points)))
    if count < 2:
        return (isl,)
    places = {round(step * (len(isls) - 1) / (count - 1)) for step in range(count)}
    return _with(isl, tuple(isls[place] for place in sorted(places)))
