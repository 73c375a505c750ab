"""The measured curves, with upstream's names for every key and array.

Units: prompt and context lengths in tokens, latencies in milliseconds, throughput in output
tokens per second per GPU (prefill: prompt tokens per second per GPU), KV usage as a fraction of
``max_kv_tokens``. The arrays of one curve have the same length; point ``i`` is the ``i``-th of
each. JSON is written here; NPZ, which needs numpy, in ``dgdr_perf``.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

PREFILL_ISL = "prefill_isl"
PREFILL_TTFT = "prefill_ttft"
PREFILL_THPT_PER_GPU = "prefill_thpt_per_gpu"
KV_USAGE = "x_kv_usage"
CONTEXT_LENGTH = "y_context_length"
ITL = "z_itl"
DECODE_THPT_PER_GPU = "z_thpt_per_gpu"
MAX_KV_TOKENS = "max_kv_tokens"


class ProfileDataError(ValueError):
    """The data are not a curve; the message names the key, what is wrong, and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillData:
    """Prefill alone, by prompt length."""

    isl: tuple[float, ...]
    ttft_ms: tuple[float, ...]
    thpt_per_gpu: tuple[float, ...]

    def __post_init__(self) -> None:
        _check(
            {
                PREFILL_ISL: self.isl,
                PREFILL_TTFT: self.ttft_ms,
                PREFILL_THPT_PER_GPU: self.thpt_per_gpu,
            }
        )

    def to_json(self) -> str:
        """Return the content of ``prefill_raw_data.json``."""
        return json.dumps(
            {
                PREFILL_ISL: self.isl,
                PREFILL_TTFT: self.ttft_ms,
                PREFILL_THPT_PER_GPU: self.thpt_per_gpu,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the content of ``prefill_raw_data.json``."""
        data = _object(text)
        return cls(
            isl=_floats(data, PREFILL_ISL),
            ttft_ms=_floats(data, PREFILL_TTFT),
            thpt_per_gpu=_floats(data, PREFILL_THPT_PER_GPU),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeData:
    """Decode alone, by KV usage and context length: scattered points, not a full grid."""

    kv_usage: tuple[float, ...]
    context_length: tuple[float, ...]
    itl_ms: tuple[float, ...]
    thpt_per_gpu: tuple[float, ...]
    max_kv_tokens: int

    def __post_init__(self) -> None:
        _check(
            {
                KV_USAGE: self.kv_usage,
                CONTEXT_LENGTH: self.context_length,
                ITL: self.itl_ms,
                DECODE_THPT_PER_GPU: self.thpt_per_gpu,
            }
        )
        if self.max_kv_tokens <= 0:
            raise ProfileDataError(
                f"{MAX_KV_TOKENS} is {self.max_kv_tokens}; it must be the tokens that the KV "
                "cache of one engine holds"
            )

    def to_json(self) -> str:
        """Return the content of ``decode_raw_data.json``."""
        return json.dumps(
            {
                KV_USAGE: self.kv_usage,
                CONTEXT_LENGTH: self.context_length,
                ITL: self.itl_ms,
                DECODE_THPT_PER_GPU: self.thpt_per_gpu,
                MAX_KV_TOKENS: self.max_kv_tokens,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the content of ``decode_raw_data.json``."""
        data = _object(text)
        return cls(
            kv_usage=_floats(data, KV_USAGE),
            context_length=_floats(data, CONTEXT_LENGTH),
            itl_ms=_floats(data, ITL),
            thpt_per_gpu=_floats(data, DECODE_THPT_PER_GPU),
            max_kv_tokens=_tokens(data),
        )


def _object(text: str) -> Mapping[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as exc:
        raise ProfileDataError(f"profile data are not JSON: {exc}; profile again") from exc
    if not isinstance(data, dict):
        raise ProfileDataError(f"profile data are a {type(data).__name__}, not an object")
    return data


def _floats(data: Mapping[str, Any], key: str) -> tuple[float, ...]:
    """Read an array of numbers; upstream writes some of them as one-element lists of lists."""
    values = data.get(key)
    if not isinstance(values, list):
        raise ProfileDataError(f"{key} is missing or no array; profile again")
    try:
        return tuple(float(value) for value in values)
    except (TypeError, ValueError) as exc:
        raise ProfileDataError(f"{key} holds something that is no number: {exc}") from exc


def _tokens(data: Mapping[str, Any]) -> int:
    """Read ``max_kv_tokens``: an int, or the one-element list that the NPZ layout implies."""
    value = data.get(MAX_KV_TOKENS)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ProfileDataError(f"{MAX_KV_TOKENS} is {value!r}, not a number; profile again")
    return int(value)


def _check(columns: Mapping[str, tuple[float, ...]]) -> None:
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ProfileDataError(f"arrays differ in length: {lengths}; each point needs all of them")
    if not any(lengths.values()):
        raise ProfileDataError(f"{', '.join(lengths)} are empty; a curve needs points")
    for key, values in columns.items():
        bad = next((value for value in values if not math.isfinite(value) or value < 0), None)
        if bad is not None:
            raise ProfileDataError(f"{key} holds {bad}; only finite values from 0 are measured")
