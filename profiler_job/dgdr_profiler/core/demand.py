"""What a run has to find out, and within which limits of an engine."""

import math
from dataclasses import dataclass

from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.cells import decode_osl
from dgdr_profiler.core.curves import FEWEST_PREFILL
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.last_words import READ_LOGS
from dgdr_profiler.core.targets import Targets, Workload

DEFAULT_PREFILL_POINTS = 6
DEFAULT_DECODE_POINTS = 9

# Upstream's limit of what one load generator keeps in flight.
MAX_CONCURRENCY = 2000
# Upstream's head-room for chat template and system prompt; its smallest prompt.
TEMPLATE_TOKENS = 512
SHORTEST_ISL = 100
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


def decode_isl(workload: Workload) -> int:
    """Return the prompt length that decode is judged at.

    A request passes through contexts from ISL to ISL + OSL, in the mean ISL + OSL / 2. It is
    measured with short answers, so what they lack in length is added to the prompt.
    """
    missing = math.ceil((workload.osl - decode_osl(workload.osl)) / 2)
    return max(min(workload.isl, SHORTEST_ISL), workload.isl + missing)


def most_in_flight(facts: EngineFacts, workload: Workload, ranks: int = 1) -> int:
    """Return how many of the workload's requests one engine can hold at once.

    More would queue, and what is called a batch of n would be none. A multiple of ``ranks``, so
    that each rank has as many.

    Raises:
        CandidateFailed: the engine does not say, or cannot hold a request on each rank.
    """
    tokens = workload.isl + _answer(workload)
    if facts.context_length is not None and tokens > facts.context_length:
        raise CandidateFailed(
            f"a prompt of {workload.isl} and an answer of {tokens - workload.isl} tokens exceed "
            f"the engine's context length of {facts.context_length}"
        )
    return _most(facts, workload, tokens, ranks)


def most_of_length(facts: EngineFacts, workload: Workload, isl: int, ranks: int = 1) -> int:
    """Return the same for requests as they are measured with prompts of ``isl`` tokens."""
    return _most(facts, workload, isl + decode_osl(workload.osl), ranks)


def _most(facts: EngineFacts, workload: Workload, tokens: int, ranks: int) -> int:
    if facts.max_kv_tokens is None:
        raise CandidateFailed(
            "the decode worker does not say how many tokens its KV cache holds: neither its "
            "DynamoWorkerMetadata (total_kv_blocks, kv_cache_block_size), its /metrics nor its "
            f"log; {READ_LOGS}"
        )
    held = facts.max_kv_tokens // ranks // tokens
    if held < 1:
        each = f" on each of {ranks} ranks" if ranks > 1 else ""
        raise CandidateFailed(
            f"a KV cache of {facts.max_kv_tokens} tokens does not hold one request of {tokens}"
            f"{each}"
        )
    wanted = math.inf if workload.concurrency is None else math.ceil(workload.concurrency / ranks)
    batch = math.inf if facts.max_batch is None else facts.max_batch // ranks
    return ranks * max(1, int(min(held, batch, wanted, MAX_CONCURRENCY // ranks)))


def longest_prompt(isl: int) -> int:
    """Return the longest prompt of a prefill curve, where the engine has room for it."""
    return max(CURVE_ABOVE * isl, SHORTEST_CURVE_END)


def curve_isls(demand: Demand, facts: EngineFacts, ranks: int = 1) -> tuple[int, ...]:
    """Return the prompt lengths of the prefill curve: around the workload's, and with it."""
    isl, answer = demand.workload.isl, _answer(demand.workload)
    longest = _longest(facts, ranks, longest_prompt(isl), answer)
    low = min(max(SHORTEST_ISL, isl // CURVE_BELOW), isl)
    return with_point(isl, _geometric(low, max(longest, isl), demand.prefill_points))


def decode_isls(demand: Demand, facts: EngineFacts, ranks: int = 1) -> tuple[int, ...]:
    """Return the prompt lengths that the decode grid may have, with the one that judged it.

    Those of the prefill curve, because one call measures both; and one with which the answers
    reach as far as the end of the workload's own.
    """
    workload, osl = demand.workload, decode_osl(demand.workload.osl)
    judged = decode_isl(workload)
    ends = max(judged, _longest(facts, ranks, workload.isl + workload.osl - osl // 2, osl))
    return tuple(sorted({*curve_isls(demand, facts, ranks), judged, ends}))


def _answer(workload: Workload) -> int:
    return max(workload.osl, decode_osl(workload.osl))


def _longest(facts: EngineFacts, ranks: int, wanted: int, answer: int) -> int:
    rank_tokens = None if facts.max_kv_tokens is None else facts.max_kv_tokens // ranks
    limits = [n for n in (facts.context_length, rank_tokens) if n is not None]
    return min([wanted, *(limit - TEMPLATE_TOKENS - answer for limit in limits)])


def check_room(demand: Demand, facts: EngineFacts, ranks: int = 1) -> None:
    """Refuse before measuring what could not become a curve afterwards."""
    if len(curve_isls(demand, facts, ranks)) < FEWEST_PREFILL:
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
