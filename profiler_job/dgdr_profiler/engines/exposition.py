"""What the text of a worker's ``/metrics`` says: capacity, and KV caches that it fetched.

The samples are vLLM's, SGLang's and Dynamo's own.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dgdr_profiler.core.candidate import Fetched

_SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})?\s+(?P<value>\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

_VLLM_CACHE = "vllm:cache_config_info"
_SGLANG_TOKENS = "sglang:max_total_num_tokens"
# The longer name is that of Dynamo before 1.0.
_DYNAMO_BLOCKS = ("dynamo_component_total_blocks", "dynamo_component_kvstats_total_blocks")
_RANK_LABELS = ("dp_rank", "engine")
# Of the decode worker: time and size of each transfer, and the tokens that came with them.
_SENT_S, _SENT_BYTES = "vllm:nixl_xfer_time_seconds", "vllm:nixl_bytes_transferred"
_TOKENS_BY_SOURCE, _EXTERNAL = "vllm:prompt_tokens_by_source_total", "external_kv_transfer"


@dataclass(frozen=True, slots=True)
class _Sample:
    name: str
    labels: Mapping[str, str]
    value: float


def rank_kv_tokens(text: str, block_tokens: int | None) -> int | None:
    """Return the tokens of one rank's KV cache: the least that any rank says.

    An engine's own samples come first: what Dynamo repeats of them was a constant in some releases.
    ``block_tokens`` is the size of Dynamo's blocks, which its samples do not have.
    """
    samples = list(_samples(text))
    vllm = [s.labels for s in samples if s.name == _VLLM_CACHE]
    return (
        _least(_positive(labels.get("kv_cache_size_tokens")) for labels in vllm)
        or _least(_blocks(labels) for labels in vllm)
        or _least(_positive(s.value) for s in samples if s.name == _SGLANG_TOKENS)
        or _least(_times(s.value, block_tokens) for s in samples if s.name in _DYNAMO_BLOCKS)
    )


def fetched(text: str, parts: int) -> Fetched | None:
    """Return what fetching a prompt's KV cache took; None where the samples do not say.

    ``parts`` of the engine fetch their shares of a prompt side by side, a transfer each, so the
    mean time of a transfer is that of a prompt. Tokens that the engine had in its own cache are not
    fetched: those of prompts that were sent before, which a sweep does.
    """
    samples = list(_samples(text))
    transfers = _sum(samples, f"{_SENT_S}_count")
    tokens = _sum([s for s in samples if s.labels.get("source") == _EXTERNAL], _TOKENS_BY_SOURCE)
    if not transfers or not tokens:
        return None
    sent_bytes = _sum(samples, f"{_SENT_BYTES}_sum")
    return Fetched(
        ms=1000.0 * _sum(samples, f"{_SENT_S}_sum") / transfers,
        isl=tokens * parts / transfers,
        bytes_per_token=sent_bytes / tokens if sent_bytes else None,
    )


def _sum(samples: Iterable[_Sample], name: str) -> float:
    return sum(sample.value for sample in samples if sample.name == name)


def ranks(text: str) -> int | None:
    """Return how many ranks the samples tell apart; None where they tell none."""
    for label in _RANK_LABELS:
        seen = {s.labels[label] for s in _samples(text) if label in s.labels}
        if seen:
            return len(seen)
    return None


def _samples(text: str) -> Iterator[_Sample]:
    for line in text.split("\n"):
        found = _SAMPLE.match(line)
        if found is not None and (value := _float(found["value"])) is not None:
            labels = dict(_LABEL.findall(found["labels"] or ""))
            yield _Sample(found["name"], labels, value)


def _blocks(labels: Mapping[str, str]) -> int | None:
    blocks = _positive(labels.get("num_gpu_blocks"))
    return None if blocks is None else _times(blocks, _positive(labels.get("block_size")))


def _times(blocks: float, block_tokens: int | None) -> int | None:
    return None if block_tokens is None else _positive(blocks * block_tokens)


def _positive(value: str | float | None) -> int | None:
    """Return a whole number above zero; engines write ``None`` and 0 for what they do not know."""
    number = _float(value)
    return None if number is None or number < 1 else int(number)


def _float(value: str | float | None) -> float | None:
    try:
        number = float(value or 0)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _least(values: Iterator[int | None]) -> int | None:
    return min((v for v in values if v is not None), default=None)
