"""Cells: the operating points that are asked for, and how one call of the load tool gives many.

A call costs about ten seconds before it measures anything, so it takes as many cells as there are,
one prompt length after another:

* ``warm``: a few short prompts. In its first second the load tool still starts processes, and an
  engine compiles what it has not needed before; neither belongs to a time to first token.
* prefill, ``p<isl>``: one request after another, prompts that no cache has seen, short answers.
  Of an engine with several attention ranks: four for each rank at once (``waves`` says why).
* ``f<isl>``: the other prompts of that length once, with answers of two tokens. Large batches are
  only reached when the prefill engine finds their prompts in its cache.
* decode, ``d<isl>c<n>``: n requests in flight, smallest n first. The batch that they reached is
  what counts. ``d<isl>c<n>r<k>`` measures the same once more.

Ranks take turns, so a phase has a multiple of them: a prompt that is sent again then meets the rank
that has it in its cache.
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

# Long enough to average many steps, short enough to wait for. Longer answers are made up for by
# longer prompts: ``demand.decode_isl``.
MIN_DECODE_OSL = 32
MAX_DECODE_OSL = 128
PREFILL_WAVES = 4
"""Prompts that each rank of several gets at once, as upstream sends them."""
DEFAULT_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Cell:
    """One point that is asked for. ``osl`` is 0 for prefill, which does not depend on it.

    ``repeat`` counts how often the same was measured before, because it was doubted.
    """

    kind: PointKind
    isl: int
    osl: int = 0
    concurrency: int = 1
    repeat: int = 0

    @property
    def phase(self) -> str:
        """Name of the phase that measures it."""
        if self.kind is PointKind.PREFILL:
            return f"p{self.isl}"
        again = f"r{self.repeat}" if self.repeat else ""
        return f"d{self.isl}c{self.concurrency}{again}"

    @property
    def asked_osl(self) -> int:
        """Answer length that its requests ask for."""
        return self.osl or PREFILL_OSL


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
    """One call of the load tool. ``ranks`` divides the number of requests of each phase."""

    cells: tuple[Cell, ...]
    ranks: int = 1
    request_timeout_s: float = DEFAULT_TIMEOUT_S

    @property
    def isls(self) -> tuple[int, ...]:
        """Prompt lengths, shortest first."""
        return tuple(sorted({c.isl for c in self.cells}))

    def phases(self) -> tuple[PlannedPhase, ...]:
        """Return the phases in their order."""
        requests = _full(WARM_REQUESTS, self.ranks)
        warm = _pool(min(self.isls), PREFILL_OSL, WARM_FROM, requests)
        return (
            _phase(WARM, self.ranks, warm, warmup=True),
            *(
                phase
                for isl in self.isls
                for phase in _of_length(isl, [c for c in self.cells if c.isl == isl], self.ranks)
            ),
        )


def _of_length(isl: int, cells: list[Cell], ranks: int) -> Iterator[PlannedPhase]:
    """Yield the phases of one prompt length, over one pool of prompts.

    The pool has a prompt for every request in flight, or a batch would share its cache blocks.
    """
    decode = sorted(
        (c for c in cells if c.kind is PointKind.DECODE), key=lambda c: (c.concurrency, c.repeat)
    )
    together = max((c.concurrency for c in cells if c.kind is PointKind.PREFILL), default=0)
    sent = seen = 0
    alone = _full(together if together > 1 else prefill_requests(isl), ranks)
    if together:
        yield _phase(f"p{isl}", together, _pool(isl, PREFILL_OSL, 0, alone))
        seen = alone
    pool = _full(max([alone, *(c.concurrency for c in decode)]), ranks)
    for cell in decode:
        if cell.concurrency > 1 and pool > seen:
            rest = _pool(isl, FILL_OSL, seen, pool - seen)
            yield _phase(f"f{isl}", min(FILL_CONCURRENCY, len(rest)), rest, warmup=True)
        requests = _full(WAVES * cell.concurrency + _extra(cell), ranks)
        yield _phase(cell.phase, cell.concurrency, _pool(isl, cell.osl, sent, requests, pool))
        sent += requests
        seen = pool if cell.concurrency > 1 else max(seen, sent)


def _extra(cell: Cell) -> int:
    return min(cell.concurrency, MOST_EXTRA_REQUESTS)


def _full(requests: int, ranks: int) -> int:
    """Return the next multiple of the ranks."""
    return -(-requests // ranks) * ranks


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


def prefill_cell(isl: int, ranks: int = 1) -> Cell:
    """Return the cell of a time to first token: idle, or with every rank busy."""
    return Cell(
        kind=PointKind.PREFILL, isl=isl, concurrency=PREFILL_WAVES * ranks if ranks > 1 else 1
    )


def prefill_ranks(concurrency: int) -> int:
    """Return how many ranks a prefill point of that concurrency was measured over."""
    return max(1, concurrency // PREFILL_WAVES)


def decode_cell(isl: int, osl: int, concurrency: int, repeat: int = 0) -> Cell:
    """Return the cell of a decode step under load."""
    return Cell(kind=PointKind.DECODE, isl=isl, osl=osl, concurrency=concurrency, repeat=repeat)


def call_of(
    cells: Iterable[Cell], ranks: int = 1, request_timeout_s: float = DEFAULT_TIMEOUT_S
) -> Call:
    """Return the call that measures ``cells``."""
    return Call(cells=tuple(sorted(set(cells))), ranks=ranks, request_timeout_s=request_timeout_s)


def decode_osl(workload_osl: int) -> int:
    """Return the answer length that decode is measured with."""
    return min(max(workload_osl, MIN_DECODE_OSL), MAX_DECODE_OSL)
