"""What comes and what is asked of it: requests, latency targets, fixed terms."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from dgdr_perf.curve_fit import Array

# Between two quantiles lengths are spread evenly; this many classes stand for each such piece.
CLASSES_PER_PIECE = 3
# Distributions whose classes are kept: those of the decisions that are under way.
REMEMBERED = 64


class WorkloadError(ValueError):
    """A workload or target that means nothing; the message names field, value and cure."""


class Percentile(StrEnum):
    """Which requests the targets speak about."""

    MEAN = "mean"
    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"

    @property
    def share(self) -> float | None:
        """Share of the requests that must be within the target; None for the mean."""
        return None if self is Percentile.MEAN else int(self.value[1:]) / 100

    @property
    def deviations(self) -> float:
        """Standard deviations above the mean, for a sum of many independent parts."""
        return _deviations(self)


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompt lengths as classes; ``shares`` and ``isl`` have shape (classes,)."""

    shares: Array
    isl: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests as they come.

    ``isl`` and ``osl`` are mean lengths in tokens. ``isl_quantiles`` are points (share of the
    requests, their longest prompt) of the observed distribution, ascending in both; equal shares
    make a step. They give the shape; ``isl`` gives the mean that they are scaled to. Without them
    ``service_cv2``, the squared variation of the prefill times, stands for the distribution. Its
    default covers engines and prompts that differ a little: against 0 it costs no more than one
    replica where the target is three times the prefill or more.
    """

    rate_per_s: float
    isl: float
    osl: float
    service_cv2: float = 0.1
    isl_quantiles: tuple[tuple[float, float], ...] | None = None

    def __post_init__(self) -> None:
        for name in ("rate_per_s", "isl", "osl", "service_cv2"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise WorkloadError(f"{name} is {value}; it must be finite and not negative")
        if self.isl_quantiles is not None:
            _check(self.isl_quantiles)

    @property
    def context_tokens(self) -> float:
        """Mean context of a request while it is decoded."""
        return max(self.isl + self.osl / 2.0, 1.0)

    @property
    def context_cv2(self) -> float:
        """Squared variation of the context, as far as prompts differ."""
        prompts = self.prompts()
        variance = float(prompts.shares @ (prompts.isl - self.isl) ** 2)
        return variance / self.context_tokens**2

    def prompts(self) -> Prompts:
        """Return the prompt lengths as classes with mean ``isl``."""
        if self.isl_quantiles is None:
            return Prompts(np.ones(1), np.array([self.isl]))
        shares, lengths = _pieces(self.isl_quantiles)
        mean = float(shares @ lengths)
        return Prompts(shares, lengths * (self.isl / mean) if mean > 0 else lengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Latency targets of one request."""

    ttft_ms: float
    itl_ms: float
    percentile: Percentile = Percentile.MEAN

    def __post_init__(self) -> None:
        for name in ("ttft_ms", "itl_ms"):
            value = getattr(self, name)
            if not value > 0:
                raise WorkloadError(f"{name} is {value}; a latency target is above 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillTerms:
    """What comes on top of queue and prefill before the first token, whatever the load.

    ``transfer_ms_per_token``: sending the KV cache of one prompt token to the decode engine.
    ``fixed_ms``: frontend, tokenizer, router, first decode step.
    """

    transfer_ms_per_token: float = 0.0
    fixed_ms: float = 0.0

    def __post_init__(self) -> None:
        for name in ("transfer_ms_per_token", "fixed_ms"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise WorkloadError(f"{name} is {value}; it must be finite and not negative")

    def of(self, isl: Array) -> Array:
        """Added time in ms for each prompt length."""
        return self.fixed_ms + self.transfer_ms_per_token * isl


@lru_cache
def _deviations(percentile: Percentile) -> float:
    share = percentile.share
    return 0.0 if share is None else NormalDist().inv_cdf(share)


def _check(points: tuple[tuple[float, float], ...]) -> None:
    if not points:
        raise WorkloadError("isl_quantiles is empty; leave it out when nothing was observed")
    for index, (share, isl) in enumerate(points):
        if not (0 <= share <= 1 and 0 <= isl < float("inf")):
            raise WorkloadError(
                f"isl_quantiles[{index}] is {(share, isl)}; it must be a share from 0 to 1 and a"
                " finite length"
            )
    if list(points) != sorted(points) or [isl for _, isl in points] != sorted(
        isl for _, isl in points
    ):
        raise WorkloadError(f"isl_quantiles are {points}; they must ascend in share and length")


@lru_cache(maxsize=REMEMBERED)
def _pieces(points: tuple[tuple[float, float], ...]) -> tuple[Array, Array]:
    """Cut the distribution into classes; beyond the last quantile nothing is longer than it.

    One decision asks for the same classes a dozen times; the arrays are read-only.
    """
    levels = np.array([0.0, *(share for share, _ in points), 1.0])
    lengths = np.array([points[0][1], *(isl for _, isl in points), points[-1][1]])
    middles = (np.arange(CLASSES_PER_PIECE) + 0.5) / CLASSES_PER_PIECE
    widths = np.diff(levels)
    shares = np.repeat(widths / CLASSES_PER_PIECE, CLASSES_PER_PIECE)
    spread = lengths[:-1, None] + np.diff(lengths)[:, None] * middles
    kept = shares > 0
    classes = shares[kept], spread.ravel()[kept]
    for one in classes:
        one.setflags(write=False)
    return classes
