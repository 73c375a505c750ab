"""What a model is, as far as the search and the memory model ask; unknown is ``None``."""

from dataclasses import dataclass, fields, replace

from dgdr_profiler.core.weights import Weights, weights_of

KV_ELEMENT_BYTES = 2.0
"""Engines keep keys and values in half precision unless the checkpoint says otherwise."""

# What the search divides and the memory model multiplies, by the name that users know.
_ASKED = {
    "weight_bytes": "weights",
    "layers": "layers",
    "heads": "attention heads",
    "kv_heads": "KV heads",
    "head_size": "head size",
    "hidden": "hidden size",
    "context_length": "context length",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """One model, as its ``config.json``, its folder or its user describes it.

    ``attention_layers`` keep keys and values; None: all layers. ``windowed_layers`` of them keep
    ``window_tokens`` at most. ``moe_layers`` have experts; None: all, if there are experts.
    ``dense_layers`` have a feed-forward part without experts; None: all others.
    Layers that ``keeps_state`` tells of have a state instead of keys and values, or beside them.
    With ``uncounted_bounds`` some layers may keep fewer tokens than those numbers say.
    ``positions`` are stated, ``context_length`` is what rope scaling makes of them.
    ``intermediate`` is the width of a layer without experts, ``moe_intermediate`` that of one
    expert, ``shared_intermediate`` that of all shared experts of a layer together.
    ``opaque_layers`` have weights that no field tells; ``state_space_parameters`` are those of all
    layers that keep a state instead of keys and values.
    ``quant_bits`` counts the scales; ``element_bytes`` is the checkpoint's size of what is not
    quantised.
    ``bytes_per_parameter`` overrules both.
    """

    architecture: str | None = None
    stated_parameters: int | None = None
    stated_weight_bytes: int | None = None
    bytes_per_parameter: float | None = None
    layers: int | None = None
    attention_layers: int | None = None
    dense_layers: int | None = None
    opaque_layers: int | None = None
    state_space_parameters: int | None = None
    windowed_layers: int | None = None
    window_tokens: int | None = None
    keeps_state: bool | None = None
    uncounted_bounds: bool | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_size: int | None = None
    hidden: int | None = None
    intermediate: int | None = None
    gated: bool | None = None
    vocabulary: int | None = None
    tied_embeddings: bool | None = None
    experts: int | None = None
    experts_per_token: int | None = None
    moe_intermediate: int | None = None
    moe_layers: int | None = None
    shared_intermediate: int | None = None
    q_lora_rank: int | None = None
    kv_lora_rank: int | None = None
    rope_head_size: int | None = None
    nope_head_size: int | None = None
    value_head_size: int | None = None
    element_bytes: float | None = None
    quant_bits: float | None = None
    quant_block: int | None = None
    quantizes_experts_only: bool | None = None
    kv_element_bytes: float | None = None
    context_length: int | None = None
    positions: int | None = None

    @property
    def is_moe(self) -> bool:
        """Whether it is a mixture of experts: by its fields, since names are without end."""
        return self.experts is not None and self.experts > 1

    @property
    def is_mla(self) -> bool:
        """Whether all heads share one compressed KV vector per token, which no TP divides."""
        return self.kv_lora_rank is not None

    @property
    def has_unlike_layers(self) -> bool:
        """Whether its layers keep different numbers of tokens: windows, or a state instead."""
        return bool(self.windowed_layers or self.keeps_state)

    @property
    def weights(self) -> Weights | None:
        """Parameters and bytes by how they spread over GPUs; None when the size is unknown."""
        return weights_of(self)

    @property
    def parameters(self) -> int | None:
        """All parameters: as stated, else counted from the dimensions."""
        if self.stated_parameters is not None:
            return self.stated_parameters
        return None if self.weights is None else self.weights.parameters

    @property
    def weight_bytes(self) -> int | None:
        """Bytes of all weights in GPU memory: as stated, else parameters times their size."""
        return None if self.weights is None else self.weights.total_bytes

    @property
    def kv_bytes_per_token(self) -> int | None:
        """KV bytes of one token in all layers, before windows; None when unknown."""
        layer = self._kv_layer_bytes
        layers = self.layers if self.attention_layers is None else self.attention_layers
        return None if layer is None or layers is None else round(layer * layers)

    def kv_bytes(self, tokens: int) -> int | None:
        """Return the KV bytes of one request of that many tokens; windows bound their layers."""
        token, layer = self.kv_bytes_per_token, self._kv_layer_bytes
        if token is None or layer is None:
            return None
        beyond = max(0, tokens - (self.window_tokens or tokens))
        return round(token * tokens - layer * (self.windowed_layers or 0) * beyond)

    @property
    def unknown(self) -> tuple[str, ...]:
        """What a search would ask and nobody said, in words."""
        asked = dict(_ASKED)
        if self.is_mla:
            asked |= {"rope_head_size": "rope head size"}
        if self.is_moe:
            asked |= {"moe_intermediate": "width of an expert"}
        else:
            asked |= {"intermediate": "intermediate size"}
        return tuple(words for name, words in asked.items() if getattr(self, name) is None)

    @property
    def _kv_layer_bytes(self) -> float | None:
        size = KV_ELEMENT_BYTES if self.kv_element_bytes is None else self.kv_element_bytes
        if self.kv_lora_rank is not None:
            rope = self.rope_head_size
            return None if rope is None else size * (self.kv_lora_rank + rope)
        if self.kv_heads is None or self.head_size is None:
            return None
        return 2 * size * self.kv_heads * self.head_size


def merge(stated: ModelFacts, read: ModelFacts | None) -> ModelFacts:
    """Return what is known, field by field: what a user states wins over what was read.

    A size that is stated in one way discards the other ways in which it was read.
    """
    if read is None:
        return stated
    names = [f.name for f in fields(ModelFacts) if getattr(stated, f.name) is not None]
    if {"stated_parameters", "bytes_per_parameter"} & set(names):
        read = replace(read, stated_weight_bytes=None)
    return replace(read, **{name: getattr(stated, name) for name in names})
