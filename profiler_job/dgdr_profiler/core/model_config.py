"""From a model's ``config.json`` to facts; whatever it does not say stays unknown."""

from collections.abc import Mapping
from typing import Any

from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.json_fields import Json, items, nested, number, text, whole
from dgdr_profiler.core.layer_kinds import (
    attention_blocks,
    keeps_state,
    layer_kinds,
    moe_layers,
)
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.quantization import quantization_of

# Language models inside models of several modalities.
_NESTED = ("text_config", "llm_config", "language_config")
_IDENTITY = ("architectures", "model_type", "num_hidden_layers", "hidden_size")
_EXPERTS = ("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts")
_PER_TOKEN = ("num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_topk")
_PER_TOKEN_TOO = ("top_k_experts", "moe_top_k", "moe_k")
_EXPERT_WIDTH = ("moe_intermediate_size", "expert_ffn_hidden_size", "intermediate_size")
_KV_HEADS = ("num_key_value_heads", "num_kv_heads")
_SHARED = ("n_shared_experts", "num_shared_experts", "num_shared_expert")
_SHARED_WIDTH = ("moe_shared_expert_intermediate_size", "shared_expert_intermediate_size")
_SHARED_WIDTH_TOO = ("shared_intermediate_size",)
_CONTEXT = ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length")
_CONTEXT_TOO = ("max_seq_len", "model_max_length")
_ELEMENT_BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "float8_e4m3fn": 1.0}
# Every sixth layer has no window, as the class has it where a file is silent.
_GEMMA3_PERIOD = 6
# Activations of models whose feed-forward part has no gate.
_UNGATED = frozenset({"relu2", "relu", "gelu_new"})


def facts_of(config: Json, quantization: Json | None = None) -> ModelFacts:
    """Return what a ``config.json`` says.

    Args:
        config: the parsed file.
        quantization: the parsed ``hf_quant_config.json`` beside it, where there is one.

    Raises:
        InvalidRequest: it is no model's configuration, or a field has a value that no model has.
    """
    if not isinstance(config, Mapping):
        raise InvalidRequest(f"config.json holds {type(config).__name__}, but must hold an object")
    language = _language(config)
    if not any(name in language for name in _IDENTITY):
        raise InvalidRequest(
            f"config.json has none of {', '.join(_IDENTITY)}; give the folder of a model, or state "
            "its sizes in the policy's spec.model"
        )
    dtype = text(language, "dtype", "torch_dtype") or text(config, "dtype", "torch_dtype")
    return ModelFacts(
        architecture=_architecture(config) or _architecture(language),
        **_dimensions(language),
        **_layers(language),
        **_mixture(language),
        **quantization_of(_quantization(config, language, quantization or {})),
        element_bytes=_ELEMENT_BYTES.get(dtype or ""),
        tied_embeddings=_tied(config, language),
        context_length=_context(language),
        positions=whole(language, *_CONTEXT, *_CONTEXT_TOO),
    )


def _language(config: Json) -> Json:
    parts = (nested(config, name) for name in _NESTED)
    return next((p for p in parts if "num_hidden_layers" in p or "hidden_size" in p), config)


def _dimensions(config: Json) -> dict[str, Any]:
    heads, hidden = whole(config, "num_attention_heads"), whole(config, "hidden_size")
    size = whole(config, "head_dim", "attention_head_dim", "v_head_dim")
    if size is None and heads and hidden:
        size = hidden // heads
    activation = text(config, "mlp_hidden_act", "hidden_act")
    return {
        "heads": heads,
        "kv_heads": _kv_heads(config, heads),
        "head_size": size,
        "hidden": hidden,
        "intermediate": whole(config, "intermediate_size_mlp", "intermediate_size", "ffn_dim"),
        "gated": None if activation is None else activation not in _UNGATED,
        "vocabulary": whole(config, "vocab_size"),
        "q_lora_rank": whole(config, "q_lora_rank"),
        "kv_lora_rank": whole(config, "kv_lora_rank"),
        "rope_head_size": whole(config, "qk_rope_head_dim"),
        "nope_head_size": whole(config, "qk_nope_head_dim"),
        "value_head_size": whole(config, "v_head_dim"),
    }


def _kv_heads(config: Json, heads: int | None) -> int | None:
    """Return the KV heads: as stated, of the groups of single layers, else one per head."""
    if any(config.get(name) for name in _KV_HEADS):
        return whole(config, *_KV_HEADS)
    groups = [n for block in attention_blocks(config) if (n := whole(block, "n_heads_in_group"))]
    return heads // max(groups) if groups and heads else heads


def _layers(config: Json) -> dict[str, Any]:
    layers = whole(config, "num_hidden_layers")
    windowed, kinds, state = _windowed(config, layers), layer_kinds(config), keeps_state(config)
    uncounted = (state and "attention_layers" not in kinds) or _bounds(config, windowed)
    return {
        "layers": layers,
        **kinds,
        "keeps_state": state or None,
        "uncounted_bounds": uncounted or None,
        "windowed_layers": windowed or None,
        "window_tokens": whole(config, "sliding_window") if windowed else None,
    }


def _bounds(config: Json, windowed: int) -> bool:
    """Whether windows or chunks bound layers that nothing here counts."""
    window = bool(config.get("sliding_window")) and config.get("use_sliding_window") is not False
    return (window and not windowed) or bool(config.get("attention_chunk_size"))


def _windowed(config: Json, layers: int | None) -> int:
    """Return the layers with a window, where layers are told apart; else none.

    A window that a config mentions without saying where it applies is often switched off. Then all
    layers count as full: too many KV bytes rather than too few.
    """
    if whole(config, "sliding_window") is None:
        return 0
    if kinds := items(config, "layer_types"):
        return kinds.count("sliding_attention")
    period = whole(config, "sliding_window_pattern")
    if period is None and _is(config, "gemma3"):
        period = _GEMMA3_PERIOD
    return layers - layers // period if layers and period else 0


def _mixture(config: Json) -> dict[str, Any]:
    experts = whole(config, *_EXPERTS)
    if experts is None:
        return {}
    width = whole(config, *_EXPERT_WIDTH)
    return {
        "experts": experts,
        "experts_per_token": whole(config, *_PER_TOKEN, *_PER_TOKEN_TOO),
        "moe_intermediate": width,
        "moe_layers": moe_layers(config),
        "shared_intermediate": _shared(config, width),
    }


def _shared(config: Json, width: int | None) -> int | None:
    stated = whole(config, *_SHARED_WIDTH, *_SHARED_WIDTH_TOO)
    if stated is not None or width is None:
        return stated
    if "interleave_moe_layer_step" in config:
        # Llama 4 has one shared expert in each layer of experts and no field for it.
        return width
    return width * (whole(config, *_SHARED) or 0) or None


def _context(config: Json) -> int | None:
    """Return the tokens that a request may have: positions, stretched by rope scaling.

    Llama 3's and long rope's positions are stretched already, as Gemma 3's linear ones are. The
    rest follows vLLM: a factor stretches the original positions, else those that are stated.
    """
    positions = whole(config, *_CONTEXT, *_CONTEXT_TOO)
    rope = nested(config, "rope_scaling", "rope_parameters")
    factor = number(rope, "factor")
    if factor is None or _is(config, "gemma3"):
        return positions
    if text(rope, "rope_type", "type") not in ("yarn", "linear", "dynamic"):
        return positions
    base = whole(rope, "original_max_position_embeddings") or positions
    return None if base is None else round(base * factor)


def _tied(config: Json, language: Json) -> bool:
    """Gemma's files leave out what is the default of their class; all others state it."""
    stated = language.get("tie_word_embeddings", config.get("tie_word_embeddings"))
    return _is(language, "gemma") if stated is None else bool(stated)


def _is(config: Json, family: str) -> bool:
    return (text(config, "model_type") or "").startswith(family)


def _architecture(config: Json) -> str | None:
    return next((name for name in items(config, "architectures") if isinstance(name, str)), None)


def _quantization(config: Json, language: Json, beside: Json) -> Json:
    found = nested(config, "quantization_config") or nested(language, "quantization_config")
    return found or nested(beside, "quantization")
