"""How long a request may take before it counts as hung, from what is known of the engine.

A fixed time cuts long prompts off on a slow engine, and waits half an hour for a fast one that
hangs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dgdr_api.points import Point, PointKind
from dgdr_profiler.core.cells import (
    DEFAULT_TIMEOUT_S,
    FILL_CONCURRENCY,
    Call,
    Cell,
    call_of,
)
from dgdr_profiler.core.evidence import Evidence

# A request that takes ten times as long as predicted hangs.
PATIENCE = 10.0
# Upstream's timeout of every request.
LONGEST_TIMEOUT_S = 1800.0
# Of an engine that nothing is known of. A small GPU is about as fast; with the patience above, a
# CPU is waited for too.
ASSUMED_PROMPT_TOKENS_PER_S = 2000.0
ASSUMED_ITL_MS = 50.0
# Prompts of a batch are in the prefill engine's cache; this share of them may have left it.
UNCACHED = 0.25


@dataclass(frozen=True, slots=True)
class _Pace:
    """What a prompt and a token take, as far as points tell."""

    points: Sequence[Point]

    def ttft_ms(self, isl: int) -> float:
        """Time of a lone prompt: that of the nearest length, stretched for longer ones."""
        known = [p for p in self.points if p.kind is PointKind.PREFILL and p.ttft_ms]
        if not known:
            return 1000 * isl / ASSUMED_PROMPT_TOKENS_PER_S
        near = min(known, key=lambda p: abs(p.isl - isl))
        # Attention makes a prompt of twice the length cost at most four times as much.
        return (near.ttft_ms or 0.0) * max(1.0, isl / near.isl) ** 2

    def itl_ms(self, concurrency: int) -> float:
        """Time of a token: the slowest that was seen, stretched for larger batches."""
        known = [p for p in self.points if p.itl_ms]
        if not known:
            return ASSUMED_ITL_MS
        slow = max(known, key=lambda p: p.itl_ms or 0.0)
        return (slow.itl_ms or 0.0) * max(1.0, concurrency / slow.concurrency)


def patient_call(cells: Iterable[Cell], known: Evidence) -> Call:
    """Return the call that measures ``cells`` on a candidate of which ``known`` is known."""
    asked = tuple(cells)
    timeout_s = request_timeout_s(asked, tuple(known.points.values()))
    return call_of(asked, known.ranks, timeout_s)


def request_timeout_s(cells: Sequence[Cell], points: Sequence[Point]) -> float:
    """Return the time after which no request of a call is waited for any longer."""
    pace = _Pace(points)
    longest_ms = max(_predicted_ms(cell, pace) for cell in cells)
    return min(LONGEST_TIMEOUT_S, max(DEFAULT_TIMEOUT_S, PATIENCE * longest_ms / 1000))


def _predicted_ms(cell: Cell, pace: _Pace) -> float:
    """Time of a request that waits for the prompts sent with it, and then for its answer."""
    waits_for = max(FILL_CONCURRENCY, UNCACHED * cell.concurrency)
    answer_ms = cell.asked_osl * pace.itl_ms(cell.concurrency)
    return waits_for * pace.ttft_ms(cell.isl) + answer_ms
