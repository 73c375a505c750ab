"""Capacity in an engine's log: every wording of vLLM, SGLang and TensorRT-LLM that is known.

The last line of a kind counts: an engine that sizes itself says something smaller first. All
numbers are of one rank.
"""

import re
from dataclasses import dataclass

# vLLM V0 and early V1; a block has 16 tokens unless somebody said otherwise.
_VLLM_BLOCKS = re.compile(r"# (?:GPU|[a-z]+) blocks: (\d+)")
_VLLM_BLOCK_TOKENS = re.compile(r"\bblock_size['\"]?\s*[=:]\s*(\d+)")
VLLM_BLOCK_TOKENS = 16
# vLLM V1: two lines, or both in one.
_VLLM_SIZE = re.compile(r"GPU KV cache size: ([\d,]+) tokens")
_VLLM_TIMES = re.compile(r"Maximum concurrency for ([\d,]+) tokens per request: ([\d.]*\d)x")
# The second is the scheduler's summary; where both are there, they agree.
_SGLANG_POOL = re.compile(r"KV Cache is allocated\.[^\n]*?#tokens: ([\d,]+)")
_SGLANG_TOTAL = re.compile(r"\bmax_total_num_tokens=(\d+), ")
# Printed twice: the first is the pass that estimates, with little more than max_num_tokens.
_TRTLLM = re.compile(r"Allocated [^\n]*? for max tokens in paged KV cache \((\d+)\)")

_BATCH = (
    re.compile(r"\bmax_running_requests=(\d+), context_len="),
    re.compile(r"\bmax_num_tokens=\d+, max_batch_size=(\d+)"),
    re.compile(r"\bmax_num_requests=(\d+), max_num_tokens="),
    re.compile(r"\bmax_num_seqs['\"]?\s*[=:]\s*(\d+)"),
)
_CONTEXT = (
    re.compile(r"\bmax_running_requests=\d+, context_len=(\d+)"),
    re.compile(r"\bmax_seq_len=(\d+)"),
)
# What "2.16x" leaves out.
_ROUNDING = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class RankLimits:
    """What one rank says; None where it does not."""

    kv_tokens: int | None
    batch: int | None
    context_length: int | None


def rank_limits(text: str) -> RankLimits:
    """Return what an engine's log says of its limits."""
    return RankLimits(
        kv_tokens=_vllm(text)
        or _last(_SGLANG_TOTAL, text)
        or _last(_SGLANG_POOL, text)
        or _last(_TRTLLM, text),
        batch=_first_of(_BATCH, text),
        context_length=_first_of(_CONTEXT, text),
    )


def _vllm(text: str) -> int | None:
    """Return vLLM's tokens.

    With several kinds of attention the size is wrong, and only length times concurrency is right;
    with one kind both say the same, and the size is the exact one.
    """
    size, times = _last(_VLLM_SIZE, text), _VLLM_TIMES.findall(text)
    if not times:
        return size or _vllm_blocks(text)
    tokens = _int(times[-1][0])
    held, off = tokens * float(times[-1][1]), tokens * _ROUNDING
    if size is not None and abs(size - held) <= off + 1:
        return size
    return int(held) or None


def _vllm_blocks(text: str) -> int | None:
    blocks = _last(_VLLM_BLOCKS, text)
    block_tokens = _last(_VLLM_BLOCK_TOKENS, text) or VLLM_BLOCK_TOKENS
    return None if blocks is None else blocks * block_tokens


def _first_of(patterns: tuple[re.Pattern[str], ...], text: str) -> int | None:
    found = (_last(pattern, text) for pattern in patterns)
    return next((value for value in found if value is not None), None)


def _last(pattern: re.Pattern[str], text: str) -> int | None:
    found = pattern.findall(text)
    return (_int(found[-1]) or None) if found else None


def _int(text: str) -> int:
    return int(text.replace(",", ""))
