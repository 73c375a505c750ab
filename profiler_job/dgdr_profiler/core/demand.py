"""What a run has to find out, and within which limits of an engine."""

import math
from dataclasses import dataclass

from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.cells import decode_osl
from dgdr_profiler.core.curves import FEWEST_PREFILL
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.targets import Targets, Workload

DEFAULT_PREFILL_POINTS = 6
DEFAULT_DECODE_POINTS = 9

# Upstream's limit of what one load generator keeps in flight.
MAX_CONCURRENCY = 2000
# Upstream's head-room for chat template and system prompt; its smallest prompt.
TEMPLATE_TOKENS = 512
SHORTEST_ISL = 64
SHORTEST_CURVE_END = 512
# Prompt lengths of real traffic spread about this much around their mean.
CURVE_BELOW, CURVE_ABOVE = 8, 3


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


def curve_isls(demand: Demand, facts: EngineFacts) -> tuple[int, ...]:
    """Return the prompt lengths of the curves: around the workload's, and with it."""
    isl = demand.workload.isl
    longest = max(CURVE_ABOVE * isl, SHORTEST_CURVE_END)
    answer = max(demand.workload.osl, decode_osl(demand.workload.osl))
    for limit in (facts.context_length, facts.max_kv_tokens):
        if limit is not None:
            longest = min(longest, limit - TEMPLATE_TOKENS - answer)
    low = min(max(SHORTEST_ISL, isl // CURVE_BELOW), isl)
    return with_point(isl, _geometric(low, max(longest, isl), demand.prefill_points))


def check_room(demand: Demand, facts: EngineFacts) -> None:
    """Refuse before measuring what could not become a curve afterwards."""
    if len(curve_isls(demand, facts)) < FEWEST_PREFILL:
        raise CandidateFailed(
            f"a context length of {facts.context_length} and a KV cache of {facts.max_kv_tokens} "
            f"tokens leave no room for {FEWEST_PREFILL} prompt lengths around "
            f"{demand.workload.isl}"
        )


def _geometric(low: int, high: int, count: int) -> tuple[int, ...]:
    if count <= 1 or high <= low:
        return (low,)
    ratio = high / low
    return tuple(sorted({round(low * ratio ** (step / (count - 1))) for step in range(count)}))


def with_point(value: int, grid: tuple[int, ...]) -> tuple[int, ...]:
    """Move the inner point nearest to ``value`` onto it; both ends stay."""
    if value in grid or len(grid) < 3:
        return tuple(sorted({*grid, value}))
    nearest = min(grid[1:-1], key=lambda point: abs(math.log(point / value)))
    return tuple(sorted({value, *grid} - {nearest}))
