"""Waiting at a group of engines that each serve one prompt at a time; prompts arrive by chance.

The number of engines may be any positive real: between integers each formula below is continued
smoothly, so that "how many engines" has one continuous answer.

* Random split (M/G/1 at each engine): exact (Pollaczek and Khinchine), on a grid.
* Shared queue (M/G/c): probability of waiting by Erlang's C formula (A. K. Erlang 1917; for real c
  by the incomplete gamma function); mean wait ``E[S^2] / (2 E[S]^2)`` times that of M/M/c (Lee and
  Longton 1959).
* Round robin (Erlang-c arrivals at each engine): probability of waiting after Kraemer and
  Langenbach-Belz (1976). Equal prompts wait as in a shared queue, which is the same queue then;
  unequal ones add at most Kingman's bound (1962), damped as regular arrivals damp it.
* Tail: ``P(W > t)`` falls as ``exp(-decay * t)`` for large t, with the exact decay. Random split:
  ``log M(k) = log(1 + k c / rate)`` with M the moment generating function of the service time
  (Cramer and Lundberg). Shared queue: c times that decay (Takahashi 1981: c busy engines, each a
  renewal process). Round robin: ``log M(k) = c log(1 + k / rate)``. For equal prompts the last two
  are the same queue, and the formulas agree.
* Between the probability of waiting and that exponential lies a plateau, as long as the mean wait
  asks for: prompts of bounded length end their service neither at once nor very late.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy.special import gammaincc, gammaln

from dgdr_perf.curve_fit import Array
from dgdr_perf.service_time import ServiceTime

# Below it engines never meet a second prompt, and decays leave the range of floating point.
LEAST_USE = 1e-9
# Of the engines' use: closer to saturation than this a queue counts as saturated.
SATURATION = 1e-7
# Cells of the grid on which a split queue is solved, over so many of the longest service times:
# beyond them its tail is exponential.
CELLS = 128
HORIZON = 4.0
# Damping of the wait by regular arrivals. Kraemer and Langenbach-Belz have 2/3, which simulated
# mixtures of prompts with 4 to 16 engines exceed by up to a fifth; from 0.12 down none does.
REGULARITY = 0.12
# Of the root: the third power of it is left.
HALLEY_END = 1e-6
HALLEY_ROUNDS = 40


class Dispatch(StrEnum):
    """How prompts find their engine."""

    SHARED = "Shared"
    """The next free engine takes the oldest prompt."""
    ROUND_ROBIN = "RoundRobin"
    """Each engine has its own queue, filled in turn: Dynamo's default."""
    RANDOM = "Random"
    """Each engine has its own queue, filled by chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Distribution of the wait for an engine: an atom at zero, a plateau, then exponential.

    Where it is known exactly up to some time, ``times_s`` and ``tail``, of one shape, say so.
    """

    probability: float
    mean_s: float
    decay_per_s: float
    times_s: Array | None = None
    tail: Array | None = None

    @property
    def plateau(self) -> float:
        """Length of the plateau times the decay."""
        if self.probability <= 0 or self.decay_per_s <= 0:
            return 0.0
        return max(self.mean_s * self.decay_per_s / self.probability - 1.0, 0.0)

    def exceeds(self, times_s: Array) -> Array:
        """Probability of waiting longer than each time; 1 for negative times."""
        return np.where(times_s < 0, 1.0, self.tail_at(np.maximum(times_s, 0.0)))

    def tail_at(self, after: Array) -> Array:
        """Probability of waiting longer than each time, none of which is negative."""
        if self.times_s is None or self.tail is None:
            late = np.maximum(self.decay_per_s * after - self.plateau, 0.0)
            return np.asarray(self.probability * np.exp(-late), dtype=np.float64)
        beyond = np.maximum(after - self.times_s[-1], 0.0)
        held = np.interp(after, self.times_s, self.tail)
        return np.asarray(held * np.exp(-self.decay_per_s * beyond), dtype=np.float64)


NO_WAIT = Wait(probability=0.0, mean_s=0.0, decay_per_s=0.0)
ENDLESS = Wait(probability=1.0, mean_s=math.inf, decay_per_s=0.0)


def wait_at(
    dispatch: Dispatch,
    rate_per_s: float,
    engines: float,
    service: ServiceTime,
    horizon_s: float = math.inf,
) -> Wait:
    """Wait of a prompt when ``engines`` (any positive real) serve ``rate_per_s``.

    Waits up to ``horizon_s`` are of interest.
    """
    load = rate_per_s * service.mean_s
    use = load / engines
    if use < LEAST_USE:
        return NO_WAIT
    if use >= 1.0 - SATURATION:
        return ENDLESS
    if dispatch is Dispatch.SHARED:
        return _shared(rate_per_s, engines, service)
    if dispatch is Dispatch.RANDOM or engines <= 1.0:
        return _split(rate_per_s / engines, service, horizon_s)
    return _in_turn(rate_per_s, engines, service)


def _split(rate_per_s: float, service: ServiceTime, horizon_s: float) -> Wait:
    """Pollaczek and Khinchine: the wait is a geometric number of residual service times.

    On a grid that is the power series ``(1 - use) / (1 - use * residual(z))``.
    """
    use = rate_per_s * service.mean_s
    step_s = min(horizon_s, HORIZON * service.longest_s) / CELLS
    edges_s: Array = step_s * (np.arange(CELLS + 1, dtype=np.float64) + 0.5)
    residual = -np.diff(service.residual_exceeds(edges_s), prepend=1.0)[:-1]
    series = -use * residual
    series[0] += 1.0
    waits = (1.0 - use) * _reciprocal(series)
    return Wait(
        probability=use,
        mean_s=rate_per_s * service.second_s2 / (2.0 * (1.0 - use)),
        decay_per_s=_decay(service, rate_per_s, use),
        times_s=np.concatenate([[0.0], edges_s[:-1]]),
        tail=np.concatenate([[use], 1.0 - np.cumsum(waits)]),
    )


def _reciprocal(series: Array) -> Array:
    """Coefficients of one over a power series, by Newton's method: each round doubles them."""
    inverse = np.array([1.0 / series[0]])
    while len(inverse) < len(series):
        size = min(2 * len(inverse), len(series))
        error = -np.convolve(series[:size], inverse)[:size]
        error[0] += 2.0
        inverse = np.convolve(inverse, error)[:size]
    return inverse


def _shared(rate_per_s: float, engines: float, service: ServiceTime) -> Wait:
    load = rate_per_s * service.mean_s
    probability = erlang_c(engines, load)
    residual_s = service.second_s2 / (2.0 * service.mean_s)
    mean_s = probability * residual_s / (engines - load)
    split = _decay(service, rate_per_s / engines, load / engines)
    return Wait(probability=probability, mean_s=mean_s, decay_per_s=engines * split)


def _in_turn(rate_per_s: float, engines: float, service: ServiceTime) -> Wait:
    load = rate_per_s * service.mean_s
    use, arrivals, served = load / engines, 1.0 / engines, service.variation
    shape = (1.0 + arrivals + use * served) / (
        1.0 + use * (served - 1.0) + use**2 * (4.0 * arrivals + served)
    )
    probability = use + (arrivals - 1.0) * use * (1.0 - use) * shape
    equal_s = erlang_c(engines, load) * service.mean_s / (2.0 * (engines - load))
    return Wait(
        probability=probability,
        mean_s=equal_s + _by_variation_s(use, arrivals, service),
        decay_per_s=_decay(service, rate_per_s, use, engines),
    )


def _by_variation_s(use: float, arrivals: float, service: ServiceTime) -> float:
    """Mean wait that unequal prompts add to that of equal ones in a queue filled in turn."""
    if service.variation <= 0:
        return 0.0
    regular = REGULARITY * (1.0 - use) * (1.0 - arrivals) / (use * service.variation)
    bound_s = use / (1.0 - use) * service.mean_s * service.variation / 2.0
    return bound_s * math.exp(-regular)


def _decay(service: ServiceTime, rate_per_s: float, use: float, stages: float = 1.0) -> float:
    """Positive root of ``log M(k) = stages * log(1 + k / rate)``.

    Arrivals in Erlang ``stages`` of that rate. The left side is convex and the right side concave,
    both from zero, so that the logarithm of their ratio rises. Halley's method finds its root,
    kept between what was too small and too large, from where second derivatives at zero point to.
    """
    variance = service.second_s2 - service.mean_s**2
    decay = 2.0 * stages * (1.0 - use) / rate_per_s / (variance + stages / rate_per_s**2)
    low, high = 0.0, service.pole_per_s
    for _ in range(HALLEY_ROUNDS):
        if not low < decay < high:
            decay = 2.0 * low if math.isinf(high) else (low + high) / 2.0
        off, slope, bend = _off(service, rate_per_s, stages, decay)
        low, high = (low, decay) if off > 0 else (decay, high)
        if slope <= 0:  # rounding, at saturation
            return decay
        straight = 2.0 * slope**2 - off * bend
        step = 2.0 * off * slope / straight if straight > 0 else off / slope
        decay -= step
        if abs(step) <= HALLEY_END * decay:
            return decay
    return decay if low < decay < high else (low + high) / 2.0


def _off(
    service: ServiceTime, rate_per_s: float, stages: float, decay: float
) -> tuple[float, float, float]:
    """Logarithm of ``log M(k)`` over ``stages * log(1 + k / rate)``, and its two derivatives."""
    value, mean, variance = service.log_mgf(decay)
    arrivals, apart = stages * math.log1p(decay / rate_per_s), rate_per_s + decay
    first, other = mean / value, stages / apart / arrivals
    bend = variance / value - first**2 + other / apart + other**2
    return math.log(value / arrivals), first - other, bend


def erlang_c(engines: float, load: float) -> float:
    """Probability of waiting with ``engines`` (any positive real) > ``load`` > 0.

    Erlang's B for real c: ``load^c exp(-load) / Gamma(c + 1, load)``.
    """
    log_b = engines * math.log(load) - load - float(gammaln(engines + 1.0))
    blocked = math.exp(log_b) / float(gammaincc(engines + 1.0, load))
    return engines * blocked / (engines - load * (1.0 - blocked))
