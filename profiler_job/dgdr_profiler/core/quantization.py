"""How a checkpoint's weights are packed, from what each quantiser writes into ``config.json``."""

from typing import Any

from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.json_fields import Json, items, nested, number, text

_BITS = {"fp8": 8.0, "fbgemm_fp8": 8.0, "mxfp4": 4.0, "nvfp4": 4.0, "w8a8_fp8": 8.0, "int8": 8.0}
_BLOCKS = ("weight_block_size", "block_size", "group_size", "q_group_size")
# Bits of scale per weight, where the format fixes both.
_FIXED_SCALES = {"mxfp4": 8 / 32, "nvfp4": 8 / 16}
_GROUP_SCALE_BITS = 16
_KEPT = ("modules_to_not_convert", "ignore", "exclude_modules", "ignored_layers")


def quantization_of(config: Json) -> dict[str, Any]:
    """Return the fields of the model's facts that a quantisation decides; empty without one.

    Raises:
        InvalidRequest: the number of bits is no number.
    """
    if not config:
        return {}
    method = (text(config, "quant_algo", "quant_method") or "").lower()
    weights = _weights(config)
    bits = _bits(config, weights, method)
    return {
        "quant_bits": None if bits is None else bits + _scale_bits(config, weights, method, bits),
        "quant_block": _block(config, weights),
        "quantizes_experts_only": any("self_attn" in str(name) for name in _kept(config)),
        "kv_element_bytes": 1.0 if _kv_is_small(config) else None,
    }


def _weights(config: Json) -> Json:
    """Return the description of the weights by compressed-tensors, empty in other formats."""
    groups = nested(config, "config_groups")
    return nested(nested(groups, *groups), "weights")


def _bits(config: Json, weights: Json, method: str) -> float | None:
    for source, name in ((weights, "num_bits"), (config, "bits"), (config, "w_bit")):
        if source.get(name) is None:
            continue
        if (bits := number(source, name)) is None:
            raise InvalidRequest(
                f"config.json: quantization_config: {name} is {source[name]!r}, but must be a "
                "number above 0"
            )
        return bits
    if config.get("load_in_4bit"):
        return 4.0
    return 8.0 if config.get("load_in_8bit") else _BITS.get(method)


def _scale_bits(config: Json, weights: Json, method: str, bits: float) -> float:
    """Return the bits of scales per weight; those of blocks of 128 by 128 are not worth a count."""
    if method in _FIXED_SCALES:
        return _FIXED_SCALES[method]
    sizes = (
        number(source, n) for source in (weights, config) for n in ("group_size", "q_group_size")
    )
    group = next((size for size in sizes if size is not None), None)
    return _GROUP_SCALE_BITS / group if group is not None and bits < 8 else 0.0


def _block(config: Json, weights: Json) -> int | None:
    """Return the elements that a shard of a matrix must hold a multiple of."""
    for name in _BLOCKS:
        value = config.get(name) or weights.get(name)
        sizes = value if isinstance(value, list) else [value]
        if counted := [n for n in sizes if type(n) is int and n > 0]:
            return max(counted)
    return None


def _kept(config: Json) -> list[Any]:
    return [name for key in _KEPT for name in items(config, key)]


def _kv_is_small(config: Json) -> bool:
    scheme = nested(config, "kv_cache_scheme")
    stated = text(config, "kv_cache_scheme", "kv_cache_quant_algo")
    return scheme.get("num_bits") == 8 or (stated or "").upper() == "FP8"
