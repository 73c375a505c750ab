"""Cells: the operating points that are asked for, and how one call of the load tool gives many.

A call costs about ten seconds before it measures anything, so it takes as many cells as there are,
one prompt length after another:

* ``warm``: a few short prompts. In its first second the load tool still starts processes, and an
  engine compiles what it has not needed before; neither belongs to a time to first token.
* prefill, ``p<isl>``: one request after another, prompts that no cache has seen, short answers.
* ``f<isl>``: the other prompts of that length once, with answers of two tokens. Large batches are
  only reached when the prefill engine finds their prompts in its cache.
* decode, ``d<isl>c<n>``: n requests in flight, smallest n first. The batch that they reached is
  what counts.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dgdr_api.points import PointKind
from dgdr_load.load import LoadPhase

WARM = "warm"
WARM_REQUESTS = 16
# Not a number of any pool: a prompt that was sent for warmth would be cached.
WARM_FROM = 1_000_000

# A fast engine answers five short prompts in less than a second, and if the machine is busy with
# something else then, so is their median. Long prompts take longer, and each costs more.
FEWEST_PREFILL_REQUESTS = 5
MOST_PREFILL_REQUESTS = 15
PREFILL_TOKENS = 32_768
# The first token is what counts; a few more keep the stream an ordinary one.
PREFILL_OSL = 4
# The first wave fills the slots; while the second is sent, all of them are busy. Some more, so that
# small batches are not judged by a handful of requests.
WAVES = 2
MOST_EXTRA_REQUESTS = 8
FILL_CONCURRENCY = 4
FILL_OSL = 2

# Long enough to average many steps, short enough to wait for.
MIN_DECODE_OSL = 32
MAX_DECODE_OSL = 128


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Cell:
    """One point that is asked for. ``osl`` is 0 for prefill, which does not depend on it."""

    kind: PointKind
    isl: int
    osl: int = 0
    concurrency: int = 1

    @property
    def phase(self) -> str:
        """Name of the phase that measures it."""
        if self.kind is PointKind.PREFILL:
            return f"p{self.isl}"
        return f"d{self.isl}c{self.concurrency}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptRef:
    """A prompt before it has words: equal references are the same prompt."""

    isl: int
    number: int
    osl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPhase:
    """A phase of load, and the prompts that it sends."""

    load: LoadPhase
    prompts: tuple[PromptRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the load tool."""

    cells: tuple[Cell, ...]

    @property
    def isls(self) -> tuple[int, ...]:
        """Prompt lengths, shortest first."""
        return tuple(sorted({c.isl for c in self.cells}))

    def phases(self) -> tuple[PlannedPhase, ...]:
        """Return the phases in their order."""
        warm = _pool(min(self.isls), PREFILL_OSL, WARM_FROM, WARM_REQUESTS)
        return (
            _phase(WARM, 1, warm, warmup=True),
            *(
                phase
                for isl in self.isls
                for phase in _of_length(isl, sorted(c for c in self.cells if c.isl == isl))
            ),
        )


def _of_length(isl: int, cells: list[Cell]) -> Iterator[PlannedPhase]:
    """Yield the phases of one prompt length, over one pool of prompts.

    The pool has a prompt for every request in flight, or a batch would share its cache blocks.
    """
    decode = sorted((c for c in cells if c.kind is PointKind.DECODE), key=lambda c: c.concurrency)
    sent = seen = 0
    alone = prefill_requests(isl)
    if any(c.kind is PointKind.PREFILL for c in cells):
        yield _phase(f"p{isl}", 1, _pool(isl, PREFILL_OSL, 0, alone))
        seen = alone
    pool = max([alone, *(c.concurrency for c in decode)])
    for cell in decode:
        if cell.concurrency > 1 and pool > seen:
            rest = _pool(isl, FILL_OSL, seen, pool - seen)
            yield _phase(f"f{isl}", min(FILL_CONCURRENCY, len(rest)), rest, warmup=True)
        requests = WAVES * cell.concurrency + min(cell.concurrency, MOST_EXTRA_REQUESTS)
        yield _phase(cell.phase, cell.concurrency, _pool(isl, cell.osl, sent, requests, pool))
        sent += requests
        seen = pool if cell.concurrency > 1 else max(seen, sent)


def prefill_requests(isl: int) -> int:
    """Return how many prompts one prefill point is the median of."""
    return min(max(PREFILL_TOKENS // isl, FEWEST_PREFILL_REQUESTS), MOST_PREFILL_REQUESTS)


def _pool(
    isl: int, osl: int, start: int, count: int, size: int | None = None
) -> tuple[PromptRef, ...]:
    """Return ``count`` prompts from ``start`` on, round and round a pool of ``size``."""
    numbers = range(start, start + count)
    return tuple(PromptRef(isl=isl, osl=osl, number=n % size if size else n) for n in numbers)


def _phase(
    name: str, concurrency: int, prompts: tuple[PromptRef, ...], warmup: bool = False
) -> PlannedPhase:
    load = LoadPhase(name=name, concurrency=concurrency, requests=len(prompts), warmup=warmup)
    return PlannedPhase(load=load, prompts=prompts)


def prefill_cell(isl: int) -> Cell:
    """Return the cell of an idle time to first token."""
    return Cell(kind=PointKind.PREFILL, isl=isl)


def decode_cell(isl: int, osl: int, concurrency: int) -> Cell:
    """Return the cell of a decode step under load."""
    return Cell(kind=PointKind.DECODE, isl=isl, osl=osl, concurrency=concurrency)


def call_of(cells: Iterable[Cell]) -> Call:
    """Return the call that measures ``cells``."""
    return Call(cells=tuple(sorted(set(cells))))


def decode_osl(workload_osl: int) -> int:
    """Return the answer length that decode is measured with."""
    return min(max(workload_osl, MIN_DECODE_OSL), MAX_DECODE_OSL)
