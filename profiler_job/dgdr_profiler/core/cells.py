"""Cells: the operating points that are asked for, and how few calls of the load tool give them.

One call costs about ten seconds before it measures anything. So all cells of one prompt length
share a call, in this order:

* ``alone``: one request after another, prompts that no cache has seen. Gives the time to first
  token, and the decode point of batch 1.
* ``c<n>``: n requests in flight, smallest n first. The batch that they reached is measured.
* ``fill``, before the largest n: prompts that nothing has sent yet, once. The largest batch is only
  reached when the prefill engine finds its prompts in the cache.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from dgdr_api.points import PointKind
from dgdr_load.load import LoadPhase

ALONE = "alone"
FILL = "fill"

# A median of five is not moved by the one slow first request.
ALONE_REQUESTS = 5
# The first wave fills the slots; while the second is sent, all of them are busy. Some more, so that
# small batches are not judged by a handful of requests.
WAVES = 2
EXTRA_REQUESTS = 8
FILL_CONCURRENCY = 8

# Long enough to average many steps, short enough to wait for.
MIN_DECODE_OSL = 32
MAX_DECODE_OSL = 128
# A prefill point needs the first token only; a few more keep the stream ordinary.
PREFILL_OSL = 8


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Cell:
    """One point that is asked for. ``osl`` is 0 for prefill, which does not depend on it."""

    kind: PointKind
    isl: int
    osl: int = 0
    concurrency: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of the load tool: some cells of one prompt length."""

    isl: int
    osl: int
    cells: tuple[Cell, ...]

    @property
    def concurrencies(self) -> tuple[int, ...]:
        """Decode concurrencies above 1, smallest first."""
        return tuple(sorted({c.concurrency for c in self.cells if c.concurrency > 1}))

    @property
    def dataset_entries(self) -> int:
        """Different prompts: as many as are in flight, or a batch would share its cache blocks."""
        return max(ALONE_REQUESTS if self._alone else 0, *self.concurrencies, 1)

    @property
    def _alone(self) -> bool:
        return any(c.concurrency == 1 for c in self.cells)

    def phases(self) -> tuple[LoadPhase, ...]:
        """Return the phases of load, in their order."""
        alone = LoadPhase(name=ALONE, concurrency=1, requests=ALONE_REQUESTS)
        waves = [_wave(n) for n in self.concurrencies]
        early = [*([alone] if self._alone else []), *waves[:-1]]
        sent = sum(phase.requests or 0 for phase in early)
        missing = self.dataset_entries - sent
        return (*early, *(_fill(missing) if waves else ()), *waves[-1:])


def phase_of(cell: Cell) -> str:
    """Return the phase that measures a cell."""
    return ALONE if cell.concurrency == 1 else f"c{cell.concurrency}"


def prefill_cell(isl: int) -> Cell:
    """Return the cell of an idle time to first token."""
    return Cell(kind=PointKind.PREFILL, isl=isl)


def decode_cell(isl: int, osl: int, concurrency: int) -> Cell:
    """Return the cell of a decode step under load."""
    return Cell(kind=PointKind.DECODE, isl=isl, osl=osl, concurrency=concurrency)


def calls(cells: Iterable[Cell]) -> tuple[Call, ...]:
    """Return the calls that measure ``cells``, one for each prompt length."""
    wanted = sorted(set(cells))
    return tuple(_call(isl, [c for c in wanted if c.isl == isl]) for isl in _lengths(wanted))


def decode_osl(workload_osl: int) -> int:
    """Return the answer length that decode is measured with."""
    return min(max(workload_osl, MIN_DECODE_OSL), MAX_DECODE_OSL)


def _lengths(cells: Iterable[Cell]) -> list[int]:
    return sorted({c.isl for c in cells})


def _call(isl: int, cells: list[Cell]) -> Call:
    osl = max((c.osl for c in cells), default=0)
    return Call(isl=isl, osl=osl or PREFILL_OSL, cells=tuple(cells))


def _fill(missing: int) -> tuple[LoadPhase, ...]:
    if missing <= 0:
        return ()
    at_once = min(FILL_CONCURRENCY, missing)
    return (LoadPhase(name=FILL, concurrency=at_once, requests=missing, warmup=True),)


def _wave(concurrency: int) -> LoadPhase:
    requests = WAVES * concurrency + EXTRA_REQUESTS
    return LoadPhase(name=f"c{concurrency}", concurrency=concurrency, requests=requests)
