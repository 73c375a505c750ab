"""How much an engine holds, by every source that says so.

Numbers before words: what the worker publishes, its ``/metrics``, its log, and the memory model's
estimate for an engine that says nothing. The first that knows is used, the others check it. A
sweep that is planned with a wrong capacity measures queues and calls them batches.

Where the layers of a model keep different numbers of tokens, none of them is right. vLLM shares its
blocks out among groups of layers: blocks times tokens count each block as if all layers were in it,
and its log's length times concurrency holds for requests of that length. Requests of the load are
what the memory model counts. There the smallest is used.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from dgdr_api.models.worker_metadata import DynamoWorkerMetadata, ModelCard
from dgdr_profiler.core.candidate import CapacitySource
from dgdr_profiler.core.last_words import READ_LOGS
from dgdr_profiler.engines import exposition, log_lines

DOUBT = 0.25
"""Sources that differ by more than this do not speak of the same cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What there is to read of one engine; empty where it could not be had.

    ``ranks`` is the number of attention ranks that the engine was told to have; None asks the
    engine. ``estimated_kv_tokens`` is the memory model's, of the whole engine. ``unlike_layers``:
    those of the model keep different numbers of tokens.
    """

    metadata: DynamoWorkerMetadata | None = None
    metrics: str = ""
    log: str = ""
    estimated_kv_tokens: int | None = None
    ranks: int | None = None
    unlike_layers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFacts:
    """Limits of the whole engine, all its ranks together; None where nobody knows.

    ``source`` is that of ``max_kv_tokens``. ``notes`` are for the report: sources that disagree,
    an estimate, or why nothing is known.
    """

    max_kv_tokens: int | None
    max_batch: int | None
    context_length: int | None
    source: CapacitySource | None
    notes: tuple[str, ...] = ()


def capacity_of(said: Said) -> CapacityFacts:
    """Return the limits of an engine.

    Batch and context are limits, so the lowest that is named holds.
    """
    cards, log = said.metadata.cards() if said.metadata else (), log_lines.rank_limits(said.log)
    ranks = _ranks(said, cards)
    known = _known(said, cards, log.kv_tokens, ranks)
    source = _used(known, said.unlike_layers)
    return CapacityFacts(
        max_kv_tokens=None if source is None else known[source],
        max_batch=_times(_lowest(_told(cards, lambda card: card.max_num_seqs), log.batch), ranks),
        context_length=_lowest(_told(cards, lambda card: card.context_length), log.context_length),
        source=source,
        notes=_notes(known, source),
    )


def _ranks(said: Said, cards: Sequence[ModelCard]) -> int:
    told = _told(cards, lambda card: card.data_parallel_size)
    return said.ranks or told or exposition.ranks(said.metrics) or 1


def _known(
    said: Said, cards: Sequence[ModelCard], log_tokens: int | None, ranks: int
) -> Mapping[CapacitySource, int]:
    """Return the tokens of every source that knows, in the order of trust.

    Each speaks of one rank, except the estimate.
    """
    block_tokens = _told(cards, lambda card: card.kv_block_tokens)
    of_a_rank = {
        CapacitySource.METADATA: _told(cards, lambda card: card.kv_capacity_tokens),
        CapacitySource.METRICS: exposition.rank_kv_tokens(said.metrics, block_tokens),
        CapacitySource.LOG: log_tokens,
    }
    found = {source: _times(tokens, ranks) for source, tokens in of_a_rank.items()}
    found[CapacitySource.MEMORY_MODEL] = said.estimated_kv_tokens or None
    return {source: tokens for source, tokens in found.items() if tokens is not None}


def _used(known: Mapping[CapacitySource, int], unlike_layers: bool) -> CapacitySource | None:
    if unlike_layers:
        return min(known, key=known.__getitem__, default=None)
    return next(iter(known), None)


def _told(cards: Iterable[ModelCard], read: Callable[[ModelCard], int | None]) -> int | None:
    """Return what the first card says: a worker has one for each endpoint, some of them bare."""
    return next((value for card in cards if (value := read(card))), None)


def _notes(known: Mapping[CapacitySource, int], source: CapacitySource | None) -> tuple[str, ...]:
    if source is None:
        return (NOTHING_KNOWN,)
    if [*known] == [CapacitySource.MEMORY_MODEL]:
        return (
            f"no engine says how many tokens its KV cache holds; the {source} "
            f"estimates {known[source]}; {READ_LOGS}",
        )
    used = known[source]
    return tuple(
        f"the {other} says {tokens} tokens of KV cache, the {source} {used}; the latter is used"
        for other, tokens in known.items()
        if abs(tokens - used) > DOUBT * used
    )


NOTHING_KNOWN = (
    "nothing says how many tokens the KV cache holds: the worker metadata has no total_kv_blocks "
    "and kv_cache_block_size, /metrics no sample and the log no line of vLLM, SGLang or "
    f"TensorRT-LLM about it ({READ_LOGS}), and the memory model has no estimate"
)


def _times(value: int | None, ranks: int) -> int | None:
    """Return the value of all ranks; a zero is what a worker says that does not know."""
    return value * ranks if value else None


def _lowest(*values: int | None) -> int | None:
    return min((v for v in values if v), default=None)
