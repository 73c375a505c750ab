"""The measured curves, with upstream's names for every key and array.

Units: prompt and context lengths in tokens, latencies in milliseconds, throughput in output
tokens per second per GPU (prefill: prompt tokens per second per GPU), KV usage as a fraction of
``max_kv_tokens``. The arrays of one curve have the same length; point ``i`` is the ``i``-th of
each. JSON is written here; NPZ, which needs numpy, in ``dgdr_perf``. ``points``, ``provenance``,
``transfer``, ``ranks`` and ``max_num_seqs`` are ours and optional: upstream's files have none, and
upstream's planner reads only the keys that it knows.

Upstream interpolates the rows. So what we write has dense rows, drawn from a fit, and under
``points`` the few points that were measured; our own curves are fitted to those.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from dgdr_api.provenance import PROVENANCE, UNKNOWN, ProfileDataError, Provenance
from dgdr_api.transfer import TRANSFER, Transfer

PREFILL_ISL = "prefill_isl"
PREFILL_TTFT = "prefill_ttft"
PREFILL_THPT_PER_GPU = "prefill_thpt_per_gpu"
KV_USAGE = "x_kv_usage"
CONTEXT_LENGTH = "y_context_length"
ITL = "z_itl"
DECODE_THPT_PER_GPU = "z_thpt_per_gpu"
MAX_KV_TOKENS = "max_kv_tokens"
MAX_NUM_SEQS = "max_num_seqs"
POINTS = "points"
RANKS = "ranks"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillData:
    """Prefill alone, by prompt length.

    ``points`` are what the rows were drawn from; None where the rows are the points themselves.
    ``ranks`` of the engine prefill side by side, each a prompt in ``ttft_ms``.
    """

    isl: tuple[float, ...]
    ttft_ms: tuple[float, ...]
    thpt_per_gpu: tuple[float, ...]
    points: "PrefillData | None" = None
    transfer: Transfer | None = None
    ranks: int = 1
    provenance: Provenance = UNKNOWN

    def __post_init__(self) -> None:
        _check(self.columns, self.provenance)
        if self.ranks <= 0:
            raise ProfileDataError(f"{RANKS} is {self.ranks}; it must be at least 1, or left out")

    @property
    def columns(self) -> dict[str, tuple[float, ...]]:
        """The arrays by their keys."""
        return {
            PREFILL_ISL: self.isl,
            PREFILL_TTFT: self.ttft_ms,
            PREFILL_THPT_PER_GPU: self.thpt_per_gpu,
        }

    @property
    def fitted(self) -> "PrefillData":
        """What a curve is fitted to: the points, never what was drawn from an earlier fit."""
        return self.points or self

    def to_object(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            **self.columns,
            **self.provenance.to_object(),
            **({} if self.transfer is None else {TRANSFER: self.transfer.to_object()}),
            **({} if self.ranks == 1 else {RANKS: self.ranks}),
            **({} if self.points is None else {POINTS: self.points.to_object()}),
        }

    def to_json(self) -> str:
        """Return the content of ``prefill_raw_data.json``."""
        return json.dumps(self.to_object())

    @classmethod
    def from_object(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON object.

        Raises:
            ProfileDataError: names the key that is missing or wrong.
        """
        points = data.get(POINTS)
        return cls(
            isl=_floats(data, PREFILL_ISL),
            ttft_ms=_floats(data, PREFILL_TTFT),
            thpt_per_gpu=_floats(data, PREFILL_THPT_PER_GPU),
            points=None if points is None else cls.from_object(_points(points)),
            transfer=Transfer.from_object(data[TRANSFER]) if TRANSFER in data else None,
            ranks=_count(data, RANKS) if RANKS in data else 1,
            provenance=Provenance.from_object(data),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the content of ``prefill_raw_data.json``."""
        return cls.from_object(_object(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeData:
    """Decode alone, by KV usage and context length: scattered points, or a grid drawn from them.

    ``max_num_seqs`` is how many requests the engine runs at once at most; None is unknown.
    ``points`` are what the rows were drawn from; None where the rows are the points themselves.
    """

    kv_usage: tuple[float, ...]
    context_length: tuple[float, ...]
    itl_ms: tuple[float, ...]
    thpt_per_gpu: tuple[float, ...]
    max_kv_tokens: int
    max_num_seqs: int | None = None
    points: "DecodeData | None" = None
    provenance: Provenance = UNKNOWN

    def __post_init__(self) -> None:
        _check(self.columns, self.provenance)
        if self.max_num_seqs is not None and self.max_num_seqs <= 0:
            raise ProfileDataError(
                f"{MAX_NUM_SEQS} is {self.max_num_seqs}; it must be at least 1, or left out"
            )
        if self.max_kv_tokens <= 0:
            raise ProfileDataError(
                f"{MAX_KV_TOKENS} is {self.max_kv_tokens}; it must be the tokens that the KV "
                "cache of one engine holds"
            )

    @property
    def columns(self) -> dict[str, tuple[float, ...]]:
        """The arrays by their keys."""
        return {
            KV_USAGE: self.kv_usage,
            CONTEXT_LENGTH: self.context_length,
            ITL: self.itl_ms,
            DECODE_THPT_PER_GPU: self.thpt_per_gpu,
        }

    @property
    def fitted(self) -> "DecodeData":
        """What a surface is fitted to: the points, never what was drawn from an earlier fit."""
        return self.points or self

    def to_object(self) -> dict[str, Any]:
        """Return the JSON object."""
        return {
            **self.columns,
            MAX_KV_TOKENS: self.max_kv_tokens,
            **({} if self.max_num_seqs is None else {MAX_NUM_SEQS: self.max_num_seqs}),
            **self.provenance.to_object(),
            **({} if self.points is None else {POINTS: self.points.to_object()}),
        }

    def to_json(self) -> str:
        """Return the content of ``decode_raw_data.json``."""
        return json.dumps(self.to_object())

    @classmethod
    def from_object(cls, data: Mapping[str, Any]) -> Self:
        """Read the JSON object.

        Raises:
            ProfileDataError: names the key that is missing or wrong.
        """
        points = data.get(POINTS)
        return cls(
            kv_usage=_floats(data, KV_USAGE),
            context_length=_floats(data, CONTEXT_LENGTH),
            itl_ms=_floats(data, ITL),
            thpt_per_gpu=_floats(data, DECODE_THPT_PER_GPU),
            max_kv_tokens=_count(data, MAX_KV_TOKENS),
            max_num_seqs=_count(data, MAX_NUM_SEQS) if MAX_NUM_SEQS in data else None,
            points=None if points is None else cls.from_object(_points(points)),
            provenance=Provenance.from_object(data),
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the content of ``decode_raw_data.json``."""
        return cls.from_object(_object(text))


def _points(data: object) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise ProfileDataError(f"{POINTS} is a {type(data).__name__}, not an object")
    return data


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


def _count(data: Mapping[str, Any], key: str) -> int:
    """Read a count: an int, or the one-element list that the NPZ layout implies."""
    value = data.get(key)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ProfileDataError(f"{key} is {value!r}, not a number; profile again")
    return int(value)


def _check(columns: Mapping[str, tuple[float, ...]], provenance: Provenance) -> None:
    lengths = {key: len(values) for key, values in columns.items()}
    if provenance.sources is not None:
        lengths[f"{PROVENANCE}.sources"] = len(provenance.sources)
    if len(set(lengths.values())) != 1:
        raise ProfileDataError(f"arrays differ in length: {lengths}; each point needs all of them")
    if not any(lengths.values()):
        raise ProfileDataError(f"{', '.join(lengths)} are empty; a curve needs points")
    for key, values in columns.items():
        for index, value in enumerate(values):
            if not math.isfinite(value) or value < 0:
                raise ProfileDataError(
                    f"{key}[{index}] holds {value}; only finite values from 0 are measured;"
                    " remove the point or measure it again"
                )
