"""How large a model's weights are, and how each part of them spreads over GPUs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dgdr_profiler.core.model import ModelFacts

HALF_BYTES = 2.0
"""Checkpoints in float32, or without a word, are served in half precision (``--dtype auto``)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Weights in bytes by how an engine spreads them.

    ``expert_bytes`` are split by experts' parallelism, ``dense_bytes`` (attention, layers without
    experts, shared experts, routers) by TP and repeated by DP, ``embedding_bytes`` (one table, or
    two) likewise, but not by PP. ``parameters`` is None where only bytes are known.
    """

    parameters: int | None
    dense_bytes: float
    expert_bytes: float
    embedding_bytes: float

    @property
    def total_bytes(self) -> int:
        """Bytes of everything."""
        return round(self.dense_bytes + self.expert_bytes + self.embedding_bytes)

    def scaled(self, total_bytes: int) -> "Weights":
        """Return the same proportions with another sum."""
        factor = total_bytes / (self.total_bytes or 1)
        return replace(
            self,
            dense_bytes=self.dense_bytes * factor,
            expert_bytes=self.expert_bytes * factor,
            embedding_bytes=self.embedding_bytes * factor,
        )


def weights_of(facts: "ModelFacts") -> Weights | None:
    """Return the weights; None when neither a size nor the dimensions are known.

    Of a mixture with a size but without dimensions, everything counts as experts: what each GPU
    then holds is the least that it can hold, so nothing is excluded that might fit. With
    dimensions, a size is shared out in their proportions, an unknown vocabulary left out.
    """
    total = _stated_bytes(facts)
    if total is None:
        return _counted(facts)
    counted = _counted(replace(facts, vocabulary=facts.vocabulary or 0))
    if counted is not None:
        return counted.scaled(total)
    dense, experts = (0.0, float(total)) if facts.is_moe else (float(total), 0.0)
    return Weights(
        parameters=facts.stated_parameters,
        dense_bytes=dense,
        expert_bytes=experts,
        embedding_bytes=0.0,
    )


def _stated_bytes(facts: "ModelFacts") -> int | None:
    if facts.stated_weight_bytes is not None:
        return facts.stated_weight_bytes
    if facts.stated_parameters is None:
        return None
    bits = facts.quant_bits
    size = _element_bytes(facts) if bits is None else bits / 8
    return round(facts.stated_parameters * (facts.bytes_per_parameter or size))


def _counted(facts: "ModelFacts") -> Weights | None:
    embeddings, attention = _embeddings(facts), _attention(facts)
    dense, experts, routed = _dense(facts), _experts(facts), _beside_experts(facts)
    if embeddings is None or attention is None or dense is None:
        return None
    if experts is None or routed is None or facts.opaque_layers:
        return None
    plain, packed = _sizes(facts)
    others = plain if facts.quantizes_experts_only else packed
    beside = attention + dense + routed + (facts.state_space_parameters or 0)
    return Weights(
        parameters=embeddings + beside + experts,
        dense_bytes=others * beside,
        expert_bytes=packed * experts,
        embedding_bytes=plain * embeddings,
    )


def _sizes(facts: "ModelFacts") -> tuple[float, float]:
    """Return the bytes of a parameter, not quantised and quantised."""
    if facts.bytes_per_parameter is not None:
        return facts.bytes_per_parameter, facts.bytes_per_parameter
    plain = _element_bytes(facts)
    return plain, plain if facts.quant_bits is None else facts.quant_bits / 8


def _element_bytes(facts: "ModelFacts") -> float:
    return min(facts.element_bytes or HALF_BYTES, HALF_BYTES)


def _embeddings(facts: "ModelFacts") -> int | None:
    if facts.vocabulary is None or facts.hidden is None:
        return None
    return facts.vocabulary * facts.hidden * (1 if facts.tied_embeddings else 2)


def _attention(facts: "ModelFacts") -> int | None:
    layers = facts.layers if facts.attention_layers is None else facts.attention_layers
    layer = _mla(facts) if facts.is_mla else _grouped(facts)
    return None if layers is None or layer is None else layers * layer


def _grouped(facts: "ModelFacts") -> int | None:
    """Queries, keys, values and output of grouped-query attention, one layer."""
    heads, kv_heads, hidden, size = facts.heads, facts.kv_heads, facts.hidden, facts.head_size
    if heads is None or kv_heads is None or hidden is None or size is None:
        return None
    return 2 * hidden * size * (heads + kv_heads)


def _mla(facts: "ModelFacts") -> int | None:
    """Latent attention, one layer: queries (compressed or not), KV down and up, output."""
    heads, hidden, rank = facts.heads, facts.hidden, facts.kv_lora_rank
    rope, nope, value = facts.rope_head_size, facts.nope_head_size, facts.value_head_size
    if heads is None or hidden is None or rank is None:
        return None
    if rope is None or nope is None or value is None:
        return None
    wide, q_rank = heads * (nope + rope), facts.q_lora_rank
    queries = hidden * wide if q_rank is None else q_rank * (hidden + wide)
    return queries + hidden * (rank + rope) + rank * heads * (nope + value) + heads * value * hidden


def _dense(facts: "ModelFacts") -> int | None:
    """Feed-forward parts of the layers without experts."""
    layers = dense_layers_of(facts)
    if layers is None:
        return None
    return 0 if layers == 0 else _feed_forward(facts, facts.intermediate, layers)


def dense_layers_of(facts: "ModelFacts") -> int | None:
    """Return the layers whose feed-forward part has no experts; None when unknown."""
    if facts.dense_layers is not None or facts.layers is None:
        return facts.dense_layers
    if not facts.is_moe:
        return facts.layers
    return facts.layers - (facts.layers if facts.moe_layers is None else facts.moe_layers)


def _experts(facts: "ModelFacts") -> int | None:
    if not facts.is_moe:
        return 0
    layers = facts.layers if facts.moe_layers is None else facts.moe_layers
    if layers is None or facts.experts is None:
        return None
    return _feed_forward(facts, facts.moe_intermediate, layers * facts.experts)


def _beside_experts(facts: "ModelFacts") -> int | None:
    """Shared experts and routers."""
    layers = facts.layers if facts.moe_layers is None else facts.moe_layers
    if not facts.is_moe or layers is None or facts.hidden is None:
        return 0
    shared = _feed_forward(facts, facts.shared_intermediate or 0, layers)
    return None if shared is None else shared + layers * facts.hidden * (facts.experts or 0)


def _feed_forward(facts: "ModelFacts", width: int | None, times: int) -> int | None:
    if width is None or facts.hidden is None:
        return None
    matrices = 2 if facts.gated is False else 3
    return matrices * facts.hidden * width * times


def with_folder(facts: "ModelFacts", sizes: Mapping[str, int]) -> "ModelFacts":
    """Return the facts with the size that the model's folder has on disk, where it has weights.

    Args:
        facts: what the folder's ``config.json`` says.
        sizes: bytes of each file by its path in the folder.
    """
    found = folder_bytes(sizes)
    if found is None:
        return facts
    shrink = _element_bytes(facts) / (facts.element_bytes or HALF_BYTES)
    return replace(facts, stated_weight_bytes=round(found * shrink))


_PICKLED = (".bin", ".pt", ".pth")


def folder_bytes(sizes: Mapping[str, int]) -> int | None:
    """Return the bytes of a model folder's weights, each weight once; None without any.

    Many folders hold the same weights twice: as safetensors and pickled, or in shards and
    consolidated. Engines read safetensors first, shards rather than ``consolidated*`` files, and
    what lies beside ``config.json`` rather than the same below in a folder such as ``original``.

    Args:
        sizes: bytes of each file by its path in the folder.
    """
    for suffixes in ((".safetensors",), _PICKLED):
        every = {n: b for n, b in sizes.items() if n.endswith(suffixes) and b > 0}
        found = {n: b for n, b in every.items() if "/" not in n} or every
        shards = {n: b for n, b in found.items() if not _is_consolidated(n)}
        if found:
            return sum((shards or found).values())
    return None


def _is_consolidated(name: str) -> bool:
    return name.rpartition("/")[2].startswith("consolidated")
