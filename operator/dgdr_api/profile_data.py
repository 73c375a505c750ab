"""The measured curves, with upstream's names for every key and array.

Units: prompt and context lengths in tokens, latencies in milliseconds, throughput in output
tokens per second per GPU (prefill: prompt tokens per second per GPU), KV usage as a fraction of
``max_kv_tokens``. The arrays of one curve have the same length; point ``i`` is the ``i``-th of
each. JSON is written here; NPZ, which needs numpy, in ``dgdr_perf``. ``provenance`` is ours and
optional: upstream's files have none, and upstream's planner reads only the keys that it knows.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from dgdr_api.points import Source

PREFILL_ISL = "prefill_isl"
PREFILL_TTFT = "prefill_ttft"
PREFILL_THPT_PER_GPU = "prefill_thpt_per_gpu"
KV_USAGE = "x_kv_usage"
CONTEXT_LENGTH = "y_context_length"
ITL = "z_itl"
DECODE_THPT_PER_GPU = "z_thpt_per_gpu"
MAX_KV_TOKENS = "max_kv_tokens"
MAX_NUM_SEQS = "max_num_seqs"
PROVENANCE = "provenance"


class ProfileDataError(ValueError):
    """The data are not a curve; the message names the key, what is wrong, and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a curve comes from; None is unknown, as in upstream's files.

    ``fingerprint`` is the hash of what determined the engine (image, arguments, parallelism, GPU);
    ``sources`` has one entry for each point.
    """

    fingerprint: str | None = None
    sources: tuple[Source, ...] | None = None

    @property
    def source(self) -> Source | None:
        """Measured if every point is, estimated if any is, None if unknown."""
        if not self.sources:
            return None
        return Source.ESTIMATED if Source.ESTIMATED in self.sources else Source.MEASURED

    def to_object(self) -> dict[str, Any]:
        """Return what is known under the optional key of the JSON files."""
        known = {"fingerprint": self.fingerprint, "sources": self.sources}
        kept = {key: value for key, value in known.items() if value is not None}
        return {PROVENANCE: kept} if kept else {}

    @classmethod
    def from_object(cls, data: Mapping[str, Any]) -> Self:
        """Read the optional key.

        Raises:
            ProfileDataError: it is there and says something else.
        """
        known = data.get(PROVENANCE, {})
        if not isinstance(known, dict):
            raise ProfileDataError(f"{PROVENANCE} is a {type(known).__name__}, not an object")
        fingerprint, sources = known.get("fingerprint"), known.get("sources")
        if fingerprint is not None and not isinstance(fingerprint, str):
            raise ProfileDataError(f"{PROVENANCE}.fingerprint is {fingerprint!r}, not a text")
        if sources is None:
            return cls(fingerprint=fingerprint)
        if not isinstance(sources, list):
            raise ProfileDataError(f"{PROVENANCE}.sources is {sources!r}, not a list of sources")
        return cls(fingerprint=fingerprint, sources=sources_of(sources))


def sources_of(names: Iterable[str]) -> tuple[Source, ...]:
    """Read one source for each point.

    Raises:
        ProfileDataError: names the point whose source is neither measured nor estimated.
    """
    sources = []
    for index, name in enumerate(names):
        if name not in list(Source):
            raise ProfileDataError(
                f"{PROVENANCE}.sources[{index}] is {name!r}; it must be measured or estimated"
            )
        sources.append(Source(name))
    return tuple(sources)


UNKNOWN = Provenance()


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillData:
    """Prefill alone, by prompt length."""

    isl: tuple[float, ...]
    ttft_ms: tuple[float, ...]
    thpt_per_gpu: tuple[float, ...]
    provenance: Provenance = UNKNOWN

    def __post_init__(self) -> None:
        _check(
            {
                PREFILL_ISL: self.isl,
                PREFILL_TTFT: self.ttft_ms,
                PREFILL_THPT_PER_GPU: self.thpt_per_gpu,
            },
            self.provenance,
        )

    def to_json(self) -> str:
        """Return the content of ``prefill_raw_data.json``."""
        return json.dumps(
            {
                PREFILL_ISL: self.isl,
                PREFILL_TTFT: self.ttft_ms,
                PREFILL_THPT_PER_GPU: self.thpt_per_gpu,
                **self.provenance.to_object(),
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
            provenance=Provenance.from_object(data),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeData:
    """Decode alone, by KV usage and context length: scattered points, not a full grid.

    ``max_num_seqs`` is how many requests the engine runs at once at most; None is unknown.
    """

    kv_usage: tuple[float, ...]
    context_length: tuple[float, ...]
    itl_ms: tuple[float, ...]
    thpt_per_gpu: tuple[float, ...]
    max_kv_tokens: int
    max_num_seqs: int | None = None
    provenance: Provenance = UNKNOWN

    def __post_init__(self) -> None:
        _check(
            {
                KV_USAGE: self.kv_usage,
                CONTEXT_LENGTH: self.context_length,
                ITL: self.itl_ms,
                DECODE_THPT_PER_GPU: self.thpt_per_gpu,
            },
            self.provenance,
        )
        if self.max_num_seqs is not None and self.max_num_seqs <= 0:
            raise ProfileDataError(
                f"{MAX_NUM_SEQS} is {self.max_num_seqs}; it must be at least 1, or left out"
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
                **({} if self.max_num_seqs is None else {MAX_NUM_SEQS: self.max_num_seqs}),
                **self.provenance.to_object(),
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
            max_kv_tokens=_tokens(data, MAX_KV_TOKENS),
            max_num_seqs=_tokens(data, MAX_NUM_SEQS) if MAX_NUM_SEQS in data else None,
            provenance=Provenance.from_object(data),
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


def _tokens(data: Mapping[str, Any], key: str) -> int:
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
