"""Whether an engine fits its GPUs, and how many tokens of KV cache it then holds.

What one GPU holds is the sum of four parts:

* weights: :class:`~dgdr_profiler.core.weights.Weights` says how each part is spread;
* activations: the widest step of a forward pass over a full batch of tokens, and the logits of a
  full batch of sequences. Engines measure the same by a dummy run before they allocate KV blocks;
* overhead: CUDA's context, its libraries, and NCCL's buffers where GPUs talk to each other;
* KV: the rest, under the engine's rule for how much of the memory it may take.

Layers that an engine replicates in other ways, CUDA graphs (vLLM captures them outside its share)
and padding are left out. AIConfigurator's figures for an H200 are met within 10 %.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass, replace

from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.shape import Mapping

GIB = 2**30
MIB = 2**20

VLLM_SHARE = 0.9
"""``--gpu-memory-utilization``: of the whole memory, all parts included."""
VLLM_LARGEST_SHARE = 0.92
"""The default since vLLM 0.22."""
SGLANG_SHARE = 0.88
"""``--mem-fraction-static``: weights and KV, of the whole memory; the others have the rest."""
TRTLLM_SHARE = 0.9
"""``free_gpu_memory_fraction``: KV, of what the other parts leave free."""

SURE = 0.8
"""Of the bytes that are left for KV by these figures: so many are there even where they err."""
DOUBT = 1.25
"""Times the same bytes: what takes more than that is surely refused."""
CUDA_BYTES = 1 * GIB
"""Context, cuBLAS workspaces and kernels of one process; vLLM logs 0.6 to 1.2 GiB as non-torch."""
NCCL_BYTES = 400 * MIB
"""Buffers of one process in a group; 342 MiB for 2 GPUs and 392 MiB for 4 and 8 were measured."""
UNKNOWN_ACTIVATION_BYTES = 1 * GIB

# vLLM's defaults of an API server: 8192 tokens and 1024 sequences where a GPU has 70 GiB or more.
_LARGE_GPU_BYTES = 70 * GIB
_LARGE_BATCH = (8192, 1024)
_SMALL_BATCH = (2048, 256)
_ACTIVATION_BYTES = 2
_LOGIT_BYTES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What one GPU of an engine holds, in bytes, and the KV tokens of the whole engine.

    ``kv_bytes`` is what is left for KV and may be negative. ``kv_tokens`` and
    ``requests_per_rank`` are None where the size of a token is unknown.
    """

    gpu_bytes: int
    weight_bytes: int
    activation_bytes: int
    overhead_bytes: int
    kv_bytes: int
    kv_tokens: int | None
    requests_per_rank: int | None


def footprint(
    facts: ModelFacts,
    mapping: Mapping,
    gpu_bytes: int,
    request_tokens: int,
    backend: Backend,
    batch_tokens: int | None = None,
) -> Footprint | None:
    """Return what a GPU of the engine holds; None when the size of the weights is unknown.

    Args:
        facts: the model.
        mapping: how the engine is spread.
        gpu_bytes: memory of one GPU.
        request_tokens: tokens of one request, prompt and answer.
        backend: whose rule decides how much memory may be taken; vLLM's for ``auto``.
        batch_tokens: tokens of one step; None: vLLM's default for such a GPU.
    """
    weights = _rank_weights(facts, mapping)
    if weights is None:
        return None
    facts = as_kept(facts, backend)
    activations = _activations(facts, mapping, gpu_bytes, batch_tokens)
    overhead = _overhead(mapping)
    kv = _kv_bytes(backend, gpu_bytes, weights, activations + overhead)
    request = _request_bytes(facts, mapping, request_tokens)
    held = None if request is None else max(0.0, kv / request)
    return Footprint(
        gpu_bytes=gpu_bytes,
        weight_bytes=weights,
        activation_bytes=activations,
        overhead_bytes=overhead,
        kv_bytes=kv,
        kv_tokens=None if held is None else int(held * request_tokens) * mapping.ranks,
        requests_per_rank=None if held is None else int(held),
    )


def as_kept(facts: ModelFacts, backend: Backend) -> ModelFacts:
    """Return a model with the windows that a backend makes use of: SGLang none of Gemma 3's."""
    if backend is Backend.SGLANG and (facts.architecture or "").startswith("Gemma3For"):
        return replace(facts, windowed_layers=None, window_tokens=None)
    return facts


def beside(
    facts: ModelFacts, mapping: Mapping, gpu_bytes: int, batch_tokens: int | None = None
) -> int:
    """Return what a GPU holds beside weights and KV."""
    return _overhead(mapping) + _activations(facts, mapping, gpu_bytes, batch_tokens)


def longest_context(
    facts: ModelFacts,
    mapping: Mapping,
    gpu_bytes: int,
    batch_tokens: int | None = None,
    share: float = VLLM_SHARE,
) -> int | None:
    """Return the tokens of the longest request that vLLM's cache surely holds.

    None: perhaps the model's whole context, or as much as nobody can tell. Layers with a window
    hold that and a step's tokens.
    """
    found = footprint(facts, mapping, gpu_bytes, 1, Backend.VLLM, batch_tokens)
    if found is None or facts.context_length is None or facts.uncounted_bounds:
        return None
    step = batch_tokens or _batch(gpu_bytes)[0]
    held = replace(facts, window_tokens=facts.window_tokens and facts.window_tokens + step)
    largest = share if share < VLLM_SHARE else max(share, VLLM_LARGEST_SHARE)

    def left(part: float) -> float:
        return found.kv_bytes + (part - VLLM_SHARE) * gpu_bytes

    def size(tokens: int) -> float:
        return _request_bytes(held, mapping, tokens) or 0.0

    if size(facts.context_length) <= DOUBT * left(largest):
        return None
    return max(0, bisect_right(range(facts.context_length), SURE * left(share), key=size) - 1)


def _rank_weights(facts: ModelFacts, mapping: Mapping) -> int | None:
    """Return the bytes of the weights on the fullest GPU."""
    weights = facts.weights
    if weights is None:
        return None
    layers = _stage_share(facts, mapping)
    dense = weights.dense_bytes * layers / mapping.tp
    experts = weights.expert_bytes * layers / (mapping.moe_tp * mapping.moe_ep)
    tables = 1 if mapping.pp == 1 or facts.tied_embeddings else 2
    return math.ceil(dense + experts + weights.embedding_bytes / (mapping.tp * tables))


def _overhead(mapping: Mapping) -> int:
    return CUDA_BYTES + (NCCL_BYTES if mapping.gpus > 1 else 0)


def _stage_share(facts: ModelFacts, mapping: Mapping) -> float:
    """Return the part of the layers that the longest pipeline stage has."""
    if not facts.layers:
        return 1 / mapping.pp
    return math.ceil(facts.layers / mapping.pp) / facts.layers


def _activations(
    facts: ModelFacts, mapping: Mapping, gpu_bytes: int, batch_tokens: int | None
) -> int:
    """Return the bytes of a full batch: residual stream, widest layer, logits.

    A step holds its input and the residual, and beside them the widest of what a layer makes:
    queries, keys, values and output; gate, up and their product; or the same for each expert that
    a token goes to, with that expert's output.
    """
    if facts.hidden is None:
        return UNKNOWN_ACTIVATION_BYTES
    tokens, sequences = _batch(gpu_bytes)
    tokens = batch_tokens or tokens
    widest = max(_attention_width(facts), _dense_width(facts)) / mapping.tp
    widest = max(widest, _expert_width(facts, mapping))
    layer = tokens * _ACTIVATION_BYTES * (2 * facts.hidden + widest)
    logits = sequences * _LOGIT_BYTES * (facts.vocabulary or 0)
    return round(layer + logits)


def _batch(gpu_bytes: int) -> tuple[int, int]:
    return _LARGE_BATCH if gpu_bytes >= _LARGE_GPU_BYTES else _SMALL_BATCH


def _attention_width(facts: ModelFacts) -> int:
    heads, kv_heads = facts.heads or 0, facts.kv_heads or 0
    return 2 * (heads + kv_heads) * (facts.head_size or 0)


def _dense_width(facts: ModelFacts) -> int:
    return 3 * (facts.intermediate or 0)


def _expert_width(facts: ModelFacts, mapping: Mapping) -> float:
    """Fused experts keep gate and up, or the output, in one buffer, and the product in another."""
    if not facts.is_moe or facts.moe_intermediate is None:
        return 0
    width = facts.moe_intermediate / mapping.moe_tp
    return (facts.experts_per_token or 1) * (max(2 * width, facts.hidden or 0) + width)


def sglang_bytes(gpu_bytes: int, others: int) -> int:
    """Return what SGLang's weights and KV may have together, beside the others."""
    return round(min(SGLANG_SHARE * gpu_bytes, gpu_bytes - others))


def _kv_bytes(backend: Backend, gpu_bytes: int, weights: int, others: int) -> int:
    match backend:
        case Backend.SGLANG:
            return sglang_bytes(gpu_bytes, others) - weights
        case Backend.TRTLLM:
            return round(TRTLLM_SHARE * (gpu_bytes - weights - others))
        case Backend.VLLM | Backend.AUTO:
            return round(VLLM_SHARE * gpu_bytes) - weights - others


def _request_bytes(facts: ModelFacts, mapping: Mapping, tokens: int) -> float | None:
    """Return the KV bytes of one request on one GPU.

    Latent KV is on every GPU of a TP group, and so is a KV head when there are more GPUs than
    heads.
    """
    whole = facts.kv_bytes(tokens)
    if whole is None:
        return None
    stage = whole * _stage_share(facts, mapping)
    if facts.is_mla or not facts.kv_heads:
        return stage
    return stage * math.ceil(facts.kv_heads / mapping.tp) / facts.kv_heads
