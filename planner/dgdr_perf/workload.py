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
        return _SHARES[self]

    @property
    def deviations(self) -> float:
        """Standard deviations above the mean, for a sum of many independent parts."""
        return _deviations(self)


_SHARES = {one: None if one is Percentile.MEAN else int(one[1:]) / 100 for one in Percentile}

Quantiles = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Prompts:
    """Prompt lengths as classes; ``shares`` and ``isl`` have shape (classes,)."""

    shares: Array
    isl: Array


@dataclass(frozen=True, slots=True)
class Answers:
    """Answer lengths as classes; ``shares`` and ``osl`` have shape (classes,)."""

    shares: Array
    osl: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests as they come.

    ``isl`` and ``osl`` are mean lengths in tokens. ``isl_quantiles`` are points (share of the
    requests, their longest prompt) of the observed distribution, ascending in both; equal shares
    make a step. They give the shape; ``isl`` gives the mean that they are scaled to. Without them
    ``service_cv2``, the squared variation of the prefill times, stands for the distribution. Its
    default covers engines and prompts that differ a little: against 0 it costs no more than one
    replica where the target is three times the prefill or more. ``osl_quantiles`` are the same for
    answers; without them all are equally long. Prompts and answers are taken as independent:
    histograms of each do not say how they go together. ``cached_share`` of the prompts' tokens are
    not computed by prefill, because an engine has their KV cache: of each prompt alike.
    """

    rate_per_s: float
    isl: float
    osl: float
    service_cv2: float = 0.1
    isl_quantiles: Quantiles | None = None
    osl_quantiles: Quantiles | None = None
    cached_share: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rate_per_s", "isl", "osl", "service_cv2"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise WorkloadError(f"{name} is {value}; it must be finite and not negative")
        if not 0 <= self.cached_share < 1:
            raise WorkloadError(
                f"cached_share is {self.cached_share}; it must be 0 or more, and less than 1"
            )
        for name in ("isl_quantiles", "osl_quantiles"):
            points = getattr(self, name)
            if points is not None:
                _check(name, points)

    @property
    def context_tokens(self) -> float:
        """Mean context of the requests that are decoded at a moment.

        A request is met there in proportion to its steps O, and anywhere between the first and the
        last of them: ``E[O (I + O / 2)] / E[O]``, of which ``O / 2`` makes more than half of the
        mean answer as soon as answers differ (the inspection paradox).
        """
        return max(self.isl + self._behind()[0], 1.0)

    @property
    def context_cv2(self) -> float:
        """Squared variation of the context of the requests that are decoded at a moment."""
        prompts = self.prompts()
        mean, square = self._behind()
        variance = float(prompts.shares @ (prompts.isl - self.isl) ** 2) + square - mean**2
        return variance / self.context_tokens**2

    def prompts(self) -> Prompts:
        """Return the prompt lengths as classes with mean ``isl``."""
        return Prompts(*_classes(self.isl_quantiles, self.isl))

    def computed(self, prompts: Prompts) -> Array:
        """Tokens of each class of prompts that prefill computes."""
        return (1.0 - self.cached_share) * prompts.isl

    def answers(self) -> Answers:
        """Return the answer lengths as classes with mean ``osl``."""
        return Answers(*_classes(self.osl_quantiles, self.osl))

    def _behind(self) -> tuple[float, float]:
        """Mean, and mean square, of the tokens that a request has generated when it is met."""
        if self.osl <= 0:
            return 0.0, 0.0
        answers = self.answers()
        second, third = (float(answers.shares @ answers.osl**power) for power in (2, 3))
        return second / (2.0 * self.osl), third / (3.0 * self.osl)


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


@lru_cache(maxsize=REMEMBERED)
def _check(name: str, points: Quantiles) -> None:
    """One decision makes a dozen workloads of the same distributions."""
    if not points:
        raise WorkloadError(f"{name} is empty; leave it out when nothing was observed")
    for index, (share, length) in enumerate(points):
        if not (0 <= share <= 1 and 0 <= length < float("inf")):
            raise WorkloadError(
                f"{name}[{index}] is {(share, length)}; it must be a share from 0 to 1 and a"
                " finite length"
            )
    lengths = [length for _, length in points]
    if list(points) != sorted(points) or lengths != sorted(lengths):
        raise WorkloadError(f"{name} are {points}; they must ascend in share and length")


def _classes(points: Quantiles | None, mean: float) -> tuple[Array, Array]:
    """Return shares and lengths of a distribution, scaled to its mean; one class where unknown."""
    if points is None:
        return np.ones(1), np.array([mean])
    shares, lengths = _pieces(points)
    own = float(shares @ lengths)
    return shares, lengths * (mean / own) if own > 0 else lengths


@lru_cache(maxsize=REMEMBERED)
def _pieces(points: Quantiles) -> tuple[Array, Array]:
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
