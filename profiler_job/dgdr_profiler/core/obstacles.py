"""Why an engine of a mapping cannot run: what does not divide, does not fit, or is not there."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dgdr_profiler.core.limits import SearchLimits
from dgdr_profiler.core.memory import Footprint, footprint
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.shape import Mapping
from dgdr_profiler.core.weights import dense_layers_of

MIN_REQUESTS = 2
"""Requests whose KV each attention rank must hold: with one, no engine batches anything."""
UNKNOWN_REQUEST_TOKENS = 1

_GIB = 2**30


class ReasonCode(StrEnum):
    """Why a shape is not tried; one word for machines beside the sentence for humans."""

    CONTEXT_TOO_SHORT = "ContextTooShort"
    EXPERTS_DO_NOT_DIVIDE = "ExpertsDoNotDivide"
    HEADS_DO_NOT_DIVIDE = "HeadsDoNotDivide"
    KV_DOES_NOT_FIT = "KvDoesNotFit"
    NO_DATA = "NoData"
    NODES_UNKNOWN = "NodesUnknown"
    OVER_BUDGET = "OverBudget"
    PART_OF_NODE = "PartOfNode"
    QUANT_BLOCK = "QuantBlock"
    WEIGHTS_DO_NOT_FIT = "WeightsDoNotFit"
    WIDTH_DOES_NOT_DIVIDE = "WidthDoesNotDivide"


CUTS = frozenset(
    {
        ReasonCode.EXPERTS_DO_NOT_DIVIDE,
        ReasonCode.HEADS_DO_NOT_DIVIDE,
        ReasonCode.PART_OF_NODE,
        ReasonCode.QUANT_BLOCK,
        ReasonCode.WIDTH_DOES_NOT_DIVIDE,
    }
)
"""Codes of a model, or of nodes, that cannot be cut that way, whatever their size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """One reason: a word for machines, and a sentence with the numbers."""

    code: ReasonCode
    reason: str


def obstacle(mapping: Mapping, limits: SearchLimits, facts: ModelFacts | None) -> Obstacle | None:
    """Return the first thing in the way of an engine; None when it can run, by what is known.

    What is unknown is in nobody's way: it shows when the engine starts.
    """
    facts = facts or ModelFacts()
    return (
        _context(limits, facts)
        or next(_cuts(mapping, facts), None)
        or _whole_nodes(mapping, limits)
        or _budget(mapping, limits)
        or _memory(mapping, limits, facts)
        or _known_nodes(mapping, limits)
    )


def _context(limits: SearchLimits, facts: ModelFacts) -> Obstacle | None:
    tokens, context = limits.request_tokens, facts.context_length
    if tokens is None or context is None or tokens <= context:
        return None
    return Obstacle(
        code=ReasonCode.CONTEXT_TOO_SHORT,
        reason=f"a request of ISL {limits.isl} and OSL {limits.osl} has {tokens} tokens, but the "
        f"model's context is {context}",
    )


def _cuts(mapping: Mapping, facts: ModelFacts) -> Iterator[Obstacle]:
    """Yield what cannot be cut into the parts that the mapping asks for."""
    if facts.heads is not None and facts.heads % mapping.tp:
        yield _uneven(ReasonCode.HEADS_DO_NOT_DIVIDE, facts.heads, "attention heads", mapping.tp)
    if not facts.is_mla and not _divides_or_repeats(facts.kv_heads, mapping.tp):
        yield _uneven(ReasonCode.HEADS_DO_NOT_DIVIDE, facts.kv_heads, "KV heads", mapping.tp)
    if facts.experts is not None and facts.experts % mapping.moe_ep:
        yield _uneven(ReasonCode.EXPERTS_DO_NOT_DIVIDE, facts.experts, "experts", mapping.moe_ep)
    for width, what, parts in _widths(mapping, facts):
        if width % parts:
            yield _uneven(ReasonCode.WIDTH_DOES_NOT_DIVIDE, width, what, parts)
        elif parts > 1 and facts.quant_block and (width // parts) % facts.quant_block:
            yield Obstacle(
                code=ReasonCode.QUANT_BLOCK,
                reason=f"{width} {what} by {parts} are {width // parts}, which is no multiple of "
                f"the quantisation's block of {facts.quant_block}",
            )


def _divides_or_repeats(heads: int | None, parts: int) -> bool:
    """Engines copy KV heads where there are more parts than heads, in whole copies."""
    return heads is None or heads % parts == 0 or parts % heads == 0


def _widths(mapping: Mapping, facts: ModelFacts) -> Iterator[tuple[int, str, int]]:
    """Yield each feed-forward width, its name, and the parts that it is cut into."""
    if facts.intermediate is not None and dense_layers_of(facts) != 0:
        yield facts.intermediate, "rows of a layer", mapping.tp
    if facts.is_moe and facts.moe_intermediate is not None:
        yield facts.moe_intermediate, "rows of an expert", mapping.moe_tp
    if facts.shared_intermediate is not None:
        yield facts.shared_intermediate, "rows of the shared experts", mapping.tp


def _uneven(code: ReasonCode, count: int | None, what: str, parts: int) -> Obstacle:
    return Obstacle(code=code, reason=f"{count} {what} do not divide by {parts}")


def _memory(mapping: Mapping, limits: SearchLimits, facts: ModelFacts) -> Obstacle | None:
    if limits.gpu_memory_bytes is None:
        return None
    tokens = limits.request_tokens or UNKNOWN_REQUEST_TOKENS
    found = footprint(facts, mapping, limits.gpu_memory_bytes, tokens, limits.backend)
    if found is None:
        return None
    if found.kv_bytes <= 0:
        return Obstacle(code=ReasonCode.WEIGHTS_DO_NOT_FIT, reason=_too_heavy(found))
    if found.requests_per_rank is not None and found.requests_per_rank < MIN_REQUESTS:
        return Obstacle(
            code=ReasonCode.KV_DOES_NOT_FIT,
            reason=f"{_gib(found.kv_bytes)} are left for KV on a GPU, which hold "
            f"{found.requests_per_rank} of at least {MIN_REQUESTS} requests of {tokens} tokens",
        )
    return None


def _too_heavy(found: Footprint) -> str:
    weights, gpu = found.weight_bytes, found.gpu_bytes
    if weights > gpu:
        return f"{_gib(weights)} of weights on each GPU do not fit its {_gib(gpu)}"
    others = found.activation_bytes + found.overhead_bytes
    taken = found.kv_bytes + weights + others
    return (
        f"{_gib(weights)} of weights and {_gib(others)} besides on each GPU do not fit the "
        f"{_gib(taken)} of its {_gib(gpu)} that an engine takes"
    )


def _gib(size: int) -> str:
    gib = size / _GIB
    return f"{gib:.0f} GiB" if gib >= 100 else f"{gib:.1f} GiB"


def _whole_nodes(mapping: Mapping, limits: SearchLimits) -> Obstacle | None:
    if mapping.nodes == 1 or mapping.gpus % limits.node_gpus == 0:
        return None
    return Obstacle(
        code=ReasonCode.PART_OF_NODE,
        reason=f"an engine of {mapping.gpus} GPUs takes {mapping.nodes} nodes of "
        f"{limits.node_gpus}, but not whole ones",
    )


def _budget(mapping: Mapping, limits: SearchLimits) -> Obstacle | None:
    budget = limits.gpus_at_once
    if budget is None or mapping.gpus <= budget:
        return None
    return Obstacle(
        code=ReasonCode.OVER_BUDGET,
        reason=f"an engine of {mapping.gpus} GPUs is more than the {budget} that may be held at "
        "once",
    )


def _known_nodes(mapping: Mapping, limits: SearchLimits) -> Obstacle | None:
    if mapping.nodes == 1 or limits.knows_nodes(mapping.gpus):
        return None
    return Obstacle(
        code=ReasonCode.NODES_UNKNOWN,
        reason=f"an engine of {mapping.gpus} GPUs takes {mapping.nodes} nodes of "
        f"{limits.node_gpus}, and nobody said that they are there; set hardware.numGpusPerNode "
        "and hardware.totalGpus",
    )
