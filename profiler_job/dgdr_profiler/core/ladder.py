"""The ladder: batches of one candidate at the workload's mean context, by which it is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

from dgdr_api.points import Point, PointKind, Source
from dgdr_profiler.core.cells import Cell, decode_cell, decode_osl, prefill_cell
from dgdr_profiler.core.demand import Demand, check_room, decode_isl, most_in_flight
from dgdr_profiler.core.evidence import Evidence
from dgdr_profiler.core.steps import Step, crossing_at, doubtful, itl_ms_at, reach, steps_of

# What most engines' targets lie below; the ladder grows where they do not.
FIRST_TOP = 64
RUNG_RATIO = 4
# Of the requests in flight, so many have to decode; the others queue for the prefill engine, and
# more of them would only queue longer.
FED = 0.7
# Close enough to the target not to look for the edge any closer.
EDGE_TOLERANCE = 1.2
EDGE_MARGIN = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The rungs that are known to be wanted.

    ``rungs`` are all measured once the candidate is judged; ``again`` are those that contradict
    others, to be measured once more before anything is built on them; ``another`` is worth a
    measurement of its own if the candidate looks like the winner.
    """

    rungs: tuple[Cell, ...]
    again: tuple[Cell, ...] = ()
    another: Cell | None = None


def ladder(demand: Demand, known: Evidence) -> Ladder:
    """Return the ladder as far as it can be named now.

    It starts with three rungs, and grows until it crosses the target; the last one is just below
    the crossing.

    Raises:
        CandidateFailed: the engine cannot be judged.
    """
    if known.facts is None or not known.candidate.gives(PointKind.DECODE):
        return Ladder(rungs=())
    ranks = known.decode_ranks
    most = most_in_flight(known.facts, demand.workload, ranks)
    rungs = tuple(_rung(demand, n) for n in _first_rungs(min(most, FIRST_TOP), ranks))
    while (steps := steps_of(known, rungs)) is not None:
        if again := _again(known, rungs, steps):
            return Ladder(rungs=rungs, again=again)
        higher = _next_rung(steps, _itl_limit_ms(demand, known), most, ranks)
        another = None if higher is None else _rung(demand, higher)
        if another is None or another in rungs:
            break
        if known.get(another) is None:
            return Ladder(rungs=rungs, another=another)
        rungs = (*rungs, another)
    return Ladder(rungs=rungs)


def judging_cells(demand: Demand, known: Evidence) -> tuple[Cell, ...]:
    """Return the cells that a candidate is judged by; none before it was ever deployed.

    Raises:
        CandidateFailed: the engine cannot be judged.
    """
    if known.facts is None:
        return ()
    check_room(demand, known.facts, known.cache_ranks)
    found = ladder(demand, known)
    prefill = (_prefill(demand, known),) if known.candidate.gives(PointKind.PREFILL) else ()
    return (*prefill, *found.rungs, *found.again)


def estimate(demand: Demand, known: Evidence, cell: Cell) -> Point | None:
    """Return what a rung that was not measured would show, read off the measured ones.

    It only decides whether the rung is worth measuring, and is marked as an estimate.
    """
    rungs = ladder(demand, known).rungs
    steps = steps_of(known, rungs)
    model = known.get(rungs[0]) if rungs else None
    if not steps or model is None:
        return None
    below = [s for s in steps if s.concurrency < cell.concurrency] or steps[:1]
    near, batch = below[-1], cell.concurrency * below[-1].batch / below[-1].concurrency
    itl_ms = itl_ms_at(steps, cell.concurrency)
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
    steps = steps_of(known, ladder(demand, known).rungs)
    return None if not steps else crossing_at(steps, _itl_limit_ms(demand, known))


def largest_batch(demand: Demand, known: Evidence) -> float:
    """Return the largest batch that was reached while the candidate was judged.

    Only that: a plan that changed with every point of the curve would never be done.
    """
    steps = steps_of(known, ladder(demand, known).rungs) or []
    return max((step.batch for step in steps), default=0.0)


def _prefill(demand: Demand, known: Evidence) -> Cell:
    return prefill_cell(demand.workload.isl, known.prefill_ranks)


def _itl_limit_ms(demand: Demand, known: Evidence) -> float:
    prefill = known.get(_prefill(demand, known))
    ttft_ms = prefill.ttft_ms if prefill and prefill.ttft_ms is not None else 0.0
    return demand.targets.itl_limit_ms(ttft_ms)


def _rung(demand: Demand, concurrency: int) -> Cell:
    load = demand.workload
    return decode_cell(decode_isl(load), decode_osl(load.osl), concurrency)


def _first_rungs(top: int, ranks: int) -> tuple[int, ...]:
    each = max(1, top // ranks)
    return tuple(ranks * n for n in sorted({1, max(1, round(each / RUNG_RATIO)), each}))


def _again(known: Evidence, rungs: Sequence[Cell], steps: Sequence[Step]) -> tuple[Cell, ...]:
    """Return the next measurement of each rung that is doubted, as long as there is one."""
    doubted = doubtful(steps)
    cells = (known.again(cell) for cell in rungs if cell in doubted)
    return tuple(cell for cell in cells if cell is not None)


def _next_rung(steps: Sequence[Step], limit_ms: float, most: int, ranks: int) -> int | None:
    """Return the next concurrency worth a look, or None when the ladder is good enough.

    Just below the target where the ladder crosses it; further up where it does not, as long as the
    prefill engine still fed what was asked for.
    """
    holding = [s.concurrency for s in steps if s.itl_ms <= limit_ms]
    if not holding:
        return None
    at = crossing_at(steps, limit_ms)
    if at is not None:
        edge = _even(EDGE_MARGIN * at, ranks)
        return edge if edge > EDGE_TOLERANCE * max(holding) else None
    top = steps[-1]
    if top.concurrency >= most or top.batch < FED * top.concurrency:
        return None
    furthest = RUNG_RATIO * top.concurrency
    beyond = min(furthest, EDGE_MARGIN * reach(steps, limit_ms))
    higher = min(most, _even(beyond, ranks))
    return higher if higher > EDGE_TOLERANCE * top.concurrency else None


def _even(concurrency: float, ranks: int) -> int:
    return ranks * int(concurrency / ranks)
