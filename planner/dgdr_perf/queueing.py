"""Waiting at a group of engines that each serve one prompt at a time; prompts arrive by chance.

The number of engines may be any positive real: between integers each formula below is continued
smoothly, so that "how many engines" has one continuous answer.

* Random split (M/G/1 at each engine): probability of waiting and mean wait are exact (Pollaczek
  and Khinchine).
* Shared queue (M/G/c): probability of waiting by Erlang's C formula (A. K. Erlang 1917; for real c
  by the incomplete gamma function); mean wait ``E[S^2] / (2 E[S]^2)`` times that of M/M/c (Lee and
  Longton 1959).
* Round robin (Erlang-c arrivals at each engine): both after Kraemer and Langenbach-Belz (1976).
* Tail: ``P(W > t)`` falls as ``exp(-decay * t)`` for large t, with the exact decay. Random split:
  ``log M(k) = log(1 + k c / rate)`` with M the moment generating function of the service time
  (Cramer and Lundberg). Shared queue: c times that decay (Takahashi 1981: c busy engines, each a
  renewal process). Round robin: ``log M(k) = c log(1 + k / rate)``. For equal prompts the last two
  are the same queue, and the formulas agree.
* Between the probability of waiting and that exponential lies a plateau, as long as the mean wait
  asks for: prompts of bounded length end their service neither at once nor very late.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaincc, gammaln

from dgdr_perf.curve_fit import Array

# Below it engines never meet a second prompt, and decays leave the range of floating point.
LEAST_USE = 1e-9
# Of the engines' use: closer to saturation than this a queue counts as saturated.
SATURATION = 1e-9


class Dispatch(StrEnum):
    """How prompts find their engine."""

    SHARED = "Shared"
    """The next free engine takes the oldest prompt."""
    ROUND_ROBIN = "RoundRobin"
    """Each engine has its own queue, filled in turn: Dynamo's default."""
    RANDOM = "Random"
    """Each engine has its own queue, filled by chance."""


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Distribution of the service time: a mixture of classes, each gamma around its mean.

    ``shares`` and ``seconds`` have shape (classes,); ``cv2`` is the squared coefficient of
    variation within a class, 0 for equal prompts.
    """

    shares: Array
    seconds: Array
    cv2: float = 0.0

    @property
    def mean_s(self) -> float:
        """First moment."""
        return float(self.shares @ self.seconds)

    @property
    def second_s2(self) -> float:
        """Second moment."""
        return float(self.shares @ self.seconds**2) * (1.0 + self.cv2)

    @property
    def variation(self) -> float:
        """Squared coefficient of variation."""
        return max(self.second_s2 / self.mean_s**2 - 1.0, 0.0)

    def log_mgf(self, decay_per_s: float) -> float:
        """Logarithm of ``E[exp(decay * S)]``; infinite from the pole of the gamma form on."""
        exponent = decay_per_s * self.seconds
        if self.cv2 > 0:
            if exponent.max() * self.cv2 >= 1.0:
                return math.inf
            exponent = -np.log1p(-exponent * self.cv2) / self.cv2
        top = float(exponent.max())
        return top + math.log(float(self.shares @ np.exp(exponent - top)))

    @property
    def pole_per_s(self) -> float:
        """Decay from which ``log_mgf`` is infinite."""
        return math.inf if self.cv2 <= 0 else 1.0 / (self.cv2 * float(self.seconds.max()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Distribution of the wait for an engine: an atom at zero, a plateau, then exponential."""

    probability: float
    mean_s: float
    decay_per_s: float

    @property
    def plateau(self) -> float:
        """Length of the plateau times the decay."""
        if self.probability <= 0 or self.decay_per_s <= 0:
            return 0.0
        return max(self.mean_s * self.decay_per_s / self.probability - 1.0, 0.0)

    def exceeds(self, times_s: Array) -> Array:
        """Probability of waiting longer than each time; 1 for negative times."""
        late = self.decay_per_s * np.maximum(times_s, 0.0) - self.plateau
        tail = self.probability * np.exp(-np.maximum(late, 0.0))
        return np.where(times_s < 0, 1.0, tail)

    def quantile_s(self, share: float) -> float:
        """Wait that this share of the prompts does not exceed."""
        late = 1.0 - share
        if self.probability <= late:
            return 0.0
        if self.decay_per_s <= 0:
            return math.inf
        return (self.plateau + math.log(self.probability / late)) / self.decay_per_s


NO_WAIT = Wait(probability=0.0, mean_s=0.0, decay_per_s=0.0)
ENDLESS = Wait(probability=1.0, mean_s=math.inf, decay_per_s=0.0)


def wait_at(dispatch: Dispatch, rate_per_s: float, engines: float, service: ServiceTime) -> Wait:
    """Wait of a prompt when ``engines`` (any positive real) serve ``rate_per_s``."""
    load = rate_per_s * service.mean_s
    use = load / engines
    if use < LEAST_USE:
        return NO_WAIT
    if use >= 1.0 - SATURATION:
        return ENDLESS
    split = _split_decay(rate_per_s / engines, use, service)
    if dispatch is Dispatch.SHARED:
        return _shared(load, engines, service, split)
    if dispatch is Dispatch.RANDOM or engines <= 1.0:
        mean_s = rate_per_s / engines * service.second_s2 / (2.0 * (1.0 - use))
        return Wait(probability=use, mean_s=mean_s, decay_per_s=split)
    return _in_turn(rate_per_s, use, engines, service, split)


def _shared(load: float, engines: float, service: ServiceTime, split: float) -> Wait:
    probability = erlang_c(engines, load)
    residual_s = service.second_s2 / (2.0 * service.mean_s)
    mean_s = probability * residual_s / (engines - load)
    return Wait(probability=probability, mean_s=mean_s, decay_per_s=engines * split)


def _in_turn(
    rate_per_s: float, use: float, engines: float, service: ServiceTime, split: float
) -> Wait:
    arrivals, served = 1.0 / engines, service.variation
    total = arrivals + served
    shape = (1.0 + arrivals + use * served) / (
        1.0 + use * (served - 1.0) + use**2 * (4.0 * arrivals + served)
    )
    probability = use + (arrivals - 1.0) * use * (1.0 - use) * shape
    damping = math.exp(-2.0 * (1.0 - use) * (1.0 - arrivals) ** 2 / (3.0 * use * total))
    mean_s = use / (1.0 - use) * service.mean_s * total / 2.0 * damping

    def above(decay: float) -> float:
        return service.log_mgf(decay) - engines * math.log1p(decay / rate_per_s)

    most = min(engines * split, service.pole_per_s * (1.0 - 1e-12))
    return Wait(probability=probability, mean_s=mean_s, decay_per_s=_root(above, split, most))


def _split_decay(rate_per_s: float, use: float, service: ServiceTime) -> float:
    """Decay of the wait at one engine that prompts reach by chance."""

    def above(decay: float) -> float:
        return service.log_mgf(decay) - math.log1p(decay / rate_per_s)

    # M(k) >= 1 + k E[S] + k^2 E[S^2] / 2, so the root is not above this.
    most = 2.0 * (1.0 - use) / (rate_per_s * service.second_s2)
    most = min(most, service.pole_per_s * (1.0 - 1e-12))
    return _root(above, most * LEAST_USE, most)


def _root(rising: Callable[[float], float], low: float, high: float) -> float:
    """Where a function crosses zero upwards, or the end that is nearest to it."""
    if rising(high) <= 0:
        return high
    if rising(low) >= 0:
        return low
    return float(brentq(rising, low, high, xtol=1e-300, rtol=1e-11))


def erlang_c(engines: float, load: float) -> float:
    """Probability of waiting with ``engines`` (any positive real) > ``load`` > 0.

    Erlang's B for real c: ``load^c exp(-load) / Gamma(c + 1, load)``.
    """
    log_b = engines * math.log(load) - load - float(gammaln(engines + 1.0))
    blocked = math.exp(log_b) / float(gammaincc(engines + 1.0, load))
    return engines * blocked / (engines - load * (1.0 - blocked))
