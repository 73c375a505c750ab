"""Upstream's planner of release 0.9.1, number for number: for comparison and migration.

Its formulas as observed from that release, defects included: separate cubic interpolation of
latency and throughput, prompt lengths clamped to the measured range, a 100 x 100 grid looked up by
the nearest cell, the cell of least load when no cell meets the ITL target, and a budget rule whose
rounding can exceed the budget. Not for planning: ``dgdr_perf.sizing`` is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from scipy.interpolate import griddata, interp1d

from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.curve_fit import Array, ProfileError

CELLS = 100
FEWEST_PREFILL = 4
FEWEST_DECODE = 3
# Upstream knows no unlimited budget: a negative one gives the minimum of both roles.
UNLIMITED = 10**9


class ClassicError(ValueError):
    """A case in which upstream raises and skips the adjustment."""


class ClassicReplicas(NamedTuple):
    """Replicas of both roles."""

    prefill: int
    decode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicInput:
    """One window as upstream's planner sees it; the defaults are those of 0.9.1.

    ``n`` requests are expected in ``interval_s`` seconds with mean lengths ``isl`` and ``osl``.
    ``ttft_ms`` is carried and unused: upstream sizes prefill by throughput alone.
    """

    n: float
    isl: float
    osl: float
    interval_s: float = 180.0
    ttft_ms: float = 500.0
    itl_ms: float = 50.0
    gpus_p: int = 1
    gpus_d: int = 1
    min_endpoint: int = 1
    max_gpu_budget: int = 8
    p_corr: float = 1.0
    d_corr: float = 1.0


@dataclass(frozen=True, slots=True)
class ClassicProfile:
    """Upstream's interpolations of one profile.

    ``ttft_ms`` and ``prefill_thpt`` are functions of the prompt length within ``isl``, the
    shortest and the longest one. ``itl_ms`` and ``decode_thpt`` have shape (contexts, KV usages) =
    (100, 100).
    """

    isl: tuple[float, float]
    ttft_ms: Callable[[float], Array]
    prefill_thpt: Callable[[float], Array]
    itl_ms: Array
    decode_thpt: Array
    most_context: float
    max_kv_tokens: int

    @classmethod
    def of(cls, prefill: PrefillData, decode: DecodeData) -> Self:
        """Interpolate as upstream does.

        Raises:
            ProfileError: too few points, or points on one line, for which upstream cannot start.
        """
        if len(set(prefill.isl)) != len(prefill.isl) or len(prefill.isl) < FEWEST_PREFILL:
            raise ProfileError(
                f"prefill has the prompt lengths {prefill.isl}; cubic interpolation needs"
                f" {FEWEST_PREFILL} different ones; use the Queueing policy"
            )
        most_context = max(decode.context_length)
        return cls(
            isl=(min(prefill.isl), max(prefill.isl)),
            ttft_ms=interp1d(prefill.isl, prefill.ttft_ms, kind="cubic"),
            prefill_thpt=interp1d(prefill.isl, prefill.thpt_per_gpu, kind="cubic"),
            itl_ms=_gridded(decode, decode.itl_ms, most_context),
            decode_thpt=_gridded(decode, decode.thpt_per_gpu, most_context),
            most_context=most_context,
            max_kv_tokens=decode.max_kv_tokens,
        )

    def ttft_of(self, isl: float) -> float:
        """Time to first token in ms; lengths outside the profile count as its ends."""
        return float(self.ttft_ms(self._clamped(isl)))

    def prefill_thpt_of(self, isl: float) -> float:
        """Prompt tokens per second per GPU."""
        return float(self.prefill_thpt(self._clamped(isl)))

    def itl_of(self, concurrency: float, context_tokens: float) -> float:
        """Time between tokens in ms of the nearest cell."""
        usage = concurrency * context_tokens / self.max_kv_tokens
        return float(self.itl_ms[self._row(context_tokens), _nearest(usage, 1.0)])

    def best_decode_thpt(self, itl_ms: float, context_tokens: float) -> float:
        """Output tokens per second per GPU of the fullest cell within the target.

        Where no cell is, that of least load, although it breaks the target.
        """
        row = self._row(context_tokens)
        within = np.flatnonzero(self.itl_ms[row] <= itl_ms)
        return float(self.decode_thpt[row, within[-1] if within.size else 0])

    def _row(self, context_tokens: float) -> int:
        return _nearest(context_tokens, self.most_context)

    def _clamped(self, isl: float) -> float:
        return min(max(isl, self.isl[0]), self.isl[1])


def classic_replicas(profile: ClassicProfile, window: ClassicInput) -> ClassicReplicas:
    """Size both roles as upstream 0.9.1 does.

    Raises:
        ClassicError: the profile's throughput is exactly 0 there; upstream skips the adjustment.
    """
    target_ms = window.itl_ms / window.d_corr if window.d_corr > 0 else window.itl_ms
    context = window.isl + window.osl / 2
    return replicas_at(
        profile.prefill_thpt_of(window.isl), profile.best_decode_thpt(target_ms, context), window
    )


def replicas_at(prefill_thpt: float, decode_thpt: float, window: ClassicInput) -> ClassicReplicas:
    """Replicas when one GPU serves ``prefill_thpt`` prompt and ``decode_thpt`` output tokens/s.

    Raises:
        ClassicError: a throughput is 0.
    """
    if prefill_thpt == 0 or decode_thpt == 0:
        raise ClassicError(
            f"throughput per GPU is {prefill_thpt:g} (prefill) and {decode_thpt:g} (decode)"
            " tokens/s; upstream divides by it and skips the adjustment; profile again"
        )
    prompts = window.n * window.isl / window.interval_s * min(1.0, window.p_corr)
    answers = window.n * window.osl / window.interval_s
    prefill = math.ceil(prompts / prefill_thpt / window.gpus_p)
    decode = math.ceil(answers / decode_thpt / window.gpus_d)
    return within_budget(
        max(prefill, window.min_endpoint), max(decode, window.min_endpoint), window
    )


def within_budget(prefill: int, decode: int, window: ClassicInput) -> ClassicReplicas:
    """Apply the budget rule of 0.9.1, which may end above the budget."""
    total = prefill * window.gpus_p + decode * window.gpus_d
    if total <= window.max_gpu_budget:
        return ClassicReplicas(prefill, decode)
    scale = window.max_gpu_budget / total
    prefill = max(window.min_endpoint, round(prefill * scale))
    left = window.max_gpu_budget - prefill * window.gpus_p
    return ClassicReplicas(prefill, max(window.min_endpoint, round(left / window.gpus_d)))


def prefill_correction(profile: ClassicProfile, observed_ttft_ms: float, isl: float) -> float:
    """Observed over interpolated TTFT: ``p_corr``."""
    return observed_ttft_ms / profile.ttft_of(isl)


def decode_correction(
    profile: ClassicProfile,
    observed_itl_ms: float,
    window: ClassicInput,
    decode_replicas: int,
    request_duration_s: float,
) -> float:
    """Observed over interpolated ITL at the concurrency of one replica: ``d_corr``.

    Raises:
        ClassicError: no decode replica; upstream divides by 0 and skips the adjustment.
    """
    if decode_replicas <= 0:
        raise ClassicError("no decode replica is there; upstream skips the adjustment")
    concurrency = window.n / decode_replicas * request_duration_s / window.interval_s
    return observed_itl_ms / profile.itl_of(concurrency, window.isl + window.osl / 2)


def _gridded(decode: DecodeData, values: tuple[float, ...], most_context: float) -> Array:
    points = np.column_stack([decode.kv_usage, decode.context_length])
    if np.linalg.matrix_rank(points - points[0]) < FEWEST_DECODE - 1:
        raise ProfileError(
            f"decode has {len(points)} points on one line of KV usage and context; a surface"
            f" needs {FEWEST_DECODE} that are not; use the Queueing policy"
        )
    usage, context = np.meshgrid(np.linspace(0, 1, CELLS), np.linspace(0, most_context, CELLS))
    cubic = griddata(points, np.asarray(values), (usage, context), method="cubic")
    nearest = griddata(points, np.asarray(values), (usage, context), method="nearest")
    return np.asarray(np.where(np.isnan(cubic), nearest, cubic), dtype=np.float64)


def _nearest(value: float, end: float) -> int:
    return int(np.clip(np.round(value / end * (CELLS - 1)), 0, CELLS - 1))
