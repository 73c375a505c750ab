"""What the layers of a model are, where they are not all alike: attention, experts, state space."""

from typing import Any

from dgdr_profiler.core.json_fields import Json, items, nested, text, whole

_MOE_FREQUENCY = "moe_layer_freq"
# Jamba's, Kimi Linear's, and those of state-space parts (Falcon-H1).
_STATE = ("attn_layer_period", "linear_attn_config", "mamba_d_state", "ssm_state_size")
_MOE_STEP = ("interleave_moe_layer_step", "decoder_sparse_step", _MOE_FREQUENCY)


def layer_kinds(config: Json) -> dict[str, Any]:
    """Return how many layers are of each kind, as far as a config tells them apart."""
    if pattern := text(config, "hybrid_override_pattern"):
        return _of_pattern(config, pattern)
    if blocks := items(config, "block_configs"):
        # Layers of their own widths.
        return {"attention_layers": len(attention_blocks(config)), "opaque_layers": len(blocks)}
    if kinds := items(config, "layer_types"):
        return _of_attention(len(kinds), sum(_keeps_kv(kind) for kind in kinds))
    layers, every = whole(config, "num_hidden_layers"), whole(config, "full_attention_interval")
    return {} if layers is None or every is None else _of_attention(layers, layers // every)


def keeps_state(config: Json) -> bool:
    """Whether some layers keep a state; MiniMax lists them as zeros."""
    if any(config.get(name) for name in _STATE):
        return True
    kinds = items(config, "layer_types")
    if not all(_keeps_kv(kind) for kind in kinds) or 0 in items(config, "attn_type_list"):
        return True
    pattern = text(config, "hybrid_override_pattern") or ""
    return "M" in pattern or (not kinds and (whole(config, "full_attention_interval") or 1) > 1)


def _of_attention(layers: int, attention: int) -> dict[str, Any]:
    others = layers - attention
    return {"attention_layers": attention, "opaque_layers": others} if others else {}


def _keeps_kv(kind: object) -> bool:
    """Whether layers of a kind keep keys and values; others, such as Mamba's, keep a state."""
    return str(kind).endswith("attention") and kind != "linear_attention"


def attention_blocks(config: Json) -> list[Json]:
    """Return the attention of each layer that has one, where layers are described one by one."""
    blocks = [nested(b, "attention") for b in items(config, "block_configs") if isinstance(b, dict)]
    return [block for block in blocks if block and not block.get("no_op")]


def moe_layers(config: Json) -> int | None:
    """Return the layers with experts, of a model that has some."""
    if pattern := text(config, "hybrid_override_pattern"):
        return pattern.count("E")
    if flags := items(config, _MOE_FREQUENCY):
        return flags.count(1)
    layers = whole(config, "num_hidden_layers")
    if layers is None:
        return None
    dense = whole(config, "first_k_dense_replace") or 0
    every = (layers - dense) // (whole(config, *_MOE_STEP) or 1)
    return max(0, every - len(items(config, "mlp_only_layers")))


def _of_pattern(config: Json, pattern: str) -> dict[str, Any]:
    """Each layer is one thing: ``*`` attention, ``-`` feed-forward, ``E`` experts, ``M`` Mamba."""
    mamba, each = pattern.count("M"), _mamba(config)
    return {
        "attention_layers": pattern.count("*"),
        "dense_layers": pattern.count("-"),
        "opaque_layers": mamba if each is None else None,
        "state_space_parameters": None if each is None else mamba * each,
    }


def _mamba(config: Json) -> int | None:
    """Return the parameters of one Mamba 2 layer: projections in and out."""
    hidden, heads = whole(config, "hidden_size"), whole(config, "mamba_num_heads")
    size, state = whole(config, "mamba_head_dim"), whole(config, "ssm_state_size")
    groups = whole(config, "n_groups")
    if hidden is None or heads is None or size is None or state is None or groups is None:
        return None
    inner = heads * size
    return hidden * (2 * inner + 2 * groups * state + heads) + inner * hidden
