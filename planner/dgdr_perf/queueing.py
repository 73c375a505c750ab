"""Waiting at a group of engines that each serve one prompt at a time; prompts arrive by chance.

The number of engines may be any positive real: between integers each formula below is continued
smoothly, so that "how many engines" has one continuous answer.

* A queue at each engine (GI/G/1), exact but for a lattice of times: Lindley's wait is the largest
  sum of "service less time between arrivals"; its transform is the factor of positive times of one
  less that difference's (Wiener and Hopf; by fast Fourier transform after R. Gruebel, "G/G/1 via
  FFT", AS 265, 1991). Filled by chance, times between arrivals are exponential; filled in turn,
  every c-th prompt of all comes, and they are a sum of c exponentials: a gamma distribution, for
  real c too.
* Shared queue (M/G/c): probability of waiting by Erlang's C formula (A. K. Erlang 1917; for real c
  by the incomplete gamma function); mean wait ``E[S^2] / (2 E[S]^2)`` times that of M/M/c (Lee and
  Longton 1959).
* Tail: ``P(W > t)`` falls as ``exp(-decay * t)`` for large t, with the exact decay. By chance:
  ``log M(k) = log(1 + k c / rate)`` with M the moment generating function of the service time
  (Cramer and Lundberg). In turn: ``log M(k) = c log(1 + k / rate)``. Shared queue: c times that of
  chance (Takahashi 1981: c busy engines, each a renewal process).
* Of the shared queue, between the probability of waiting and that exponential lies a plateau, as
  long as the mean wait asks for: prompts of bounded length end their service neither at once nor
  very late.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincc, gammaln

from dgdr_perf.curve_fit import Array
from dgdr_perf.service_time import ServiceTime, spread_on_lattice

# Below it engines never meet a second prompt, and decays leave the range of floating point.
LEAST_USE = 1e-9
# So few engines keep nobody from waiting for ever; fewer leave that range, too.
LEAST_ENGINES = 1e-9
# Of the engines' use: closer to saturation than this a queue counts as saturated.
SATURATION = 1e-7
# Points of the lattice of times, a power of two; half of them are waits. With half as many, needs
# for heavy-tailed prompts are off by 5 % instead of 1.4.
POINTS = 1024
# A wait that is longer than the lattice has less probability than this, times that of waiting.
BEYOND = 1e-3
PLACES: Array = np.arange(POINTS // 2, dtype=np.float64)
SQUARES: Array = PLACES**2
# Of the decay, the tilt of the lattice; over its length no more than such an exponent.
TILT, MOST_TILTED = 0.5, 12.0
# Standard deviations, and units, after its mean by which a sum of exponentials has ended.
CERTAIN, CERTAIN_LATER = 9.0, 40.0
# In squared steps: what sharing out between two points adds to the variance of a smooth density.
SHARED_OUT = 1.0 / 6.0
# Of the root: the third power of it is left.
HALLEY_END = 1e-3
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
        if self.times_s is not None and self.tail is not None and times_s.max() < self.times_s[-1]:
            return np.interp(times_s, self.times_s, self.tail, left=1.0)
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


def wait_at(dispatch: Dispatch, rate_per_s: float, engines: float, service: ServiceTime) -> Wait:
    """Wait of a prompt when ``engines`` (any positive real) serve ``rate_per_s``."""
    load = rate_per_s * service.mean_s
    use = load / engines
    if use < LEAST_USE:
        return NO_WAIT
    if use >= 1.0 - SATURATION:
        return ENDLESS
    if dispatch is Dispatch.SHARED:
        return _shared(rate_per_s, engines, service)
    stages = max(engines, 1.0) if dispatch is Dispatch.ROUND_ROBIN else 1.0
    return _own(rate_per_s / engines, stages, service)


@dataclass(frozen=True, slots=True)
class RoughWaits:
    """Waits as if they were exponential, for several numbers of engines: arrays of that shape."""

    probability: Array
    mean_s: Array


def rough_waits(
    dispatch: Dispatch, rate_per_s: float, engines: Array, service: ServiceTime
) -> RoughWaits:
    """Wait with each of so many engines, more than are busy, in a tenth of the time of ``wait_at``.

    The mean is J. F. C. Kingman's (1961), with the probability of waiting for one of several
    engines by H. Sakasegawa (1977).
    """
    shared = np.maximum(engines, LEAST_ENGINES)
    each = shared if dispatch is Dispatch.SHARED else np.ones(engines.shape)
    stages = np.maximum(engines, 1.0) if dispatch is Dispatch.ROUND_ROBIN else 1.0
    use = rate_per_s * service.mean_s / engines
    probability = use ** (np.sqrt(2.0 * each + 2.0) - 1.0)
    varied_s = (1.0 / stages + service.variation) / 2.0 * service.mean_s
    return RoughWaits(probability, probability * varied_s / (each * (1.0 - use)))


def _own(rate_per_s: float, stages: float, service: ServiceTime) -> Wait:
    """Wait in a queue of its own that gets every ``stages``-th prompt of a Poisson stream."""
    use = rate_per_s * service.mean_s
    decay = _decay(service, stages * rate_per_s, use, stages)
    length_s = -math.log(BEYOND) / decay + service.longest_s
    step_s = 2.0 * length_s / POINTS
    up = service.on_lattice(step_s, POINTS // 2)
    down = _apart(stages * rate_per_s, stages, step_s)
    tilt = min(TILT * decay, MOST_TILTED / length_s) * step_s
    # Below zero by rounding only.
    waits = np.maximum(_largest_sum(up, down, tilt), 0.0)
    tail = np.maximum(1.0 - np.cumsum(waits), 0.0)
    # Lengths between two points vary by more on the lattice; waits are as long as they vary.
    served = service.second_s2 - service.mean_s**2
    spread = step_s**2 * (float(up @ SQUARES) - float(up @ PLACES) ** 2 + SHARED_OUT)
    apart = 1.0 / (stages * rate_per_s**2)
    step_s *= (served + apart) / (spread + apart)
    times_s = step_s * np.arange(len(waits) + 1, dtype=np.float64)
    times_s[1:] -= step_s / 2.0
    return Wait(
        probability=float(tail[0]),
        mean_s=float(waits @ PLACES) * step_s,
        decay_per_s=decay,
        times_s=times_s,
        tail=np.concatenate([tail[:1], tail]),
    )


def _apart(rate_per_s: float, stages: float, step_s: float) -> Array:
    """Time between every ``stages``-th arrival of a Poisson stream, on a lattice, with its mean.

    What is longer than the last point counts as it: nobody waits then.
    """
    scale = rate_per_s * step_s
    # By then a prompt has come for certain, to rounding.
    certain = stages + CERTAIN * math.sqrt(stages) + CERTAIN_LATER
    points = min(math.ceil(certain / scale), POINTS // 2)
    times: Array = scale * np.arange(points, dtype=np.float64)
    beyond: Array = np.zeros(POINTS // 2)
    beyond[:points] = (stages - times) * gammaincc(stages, times)
    density = np.exp(stages * np.log(times[1:]) - times[1:] - gammaln(stages + 1.0))
    beyond[1:points] += stages * density
    return spread_on_lattice(beyond / scale)


def _largest_sum(up: Array, down: Array, tilt: float) -> Array:
    """Distribution of the largest M of all sums of "up less down", both on the same lattice.

    ``log E[exp(s M)]`` is the sum over k > 0 of ``a_k (exp(s k) - 1)``, where ``a_k`` are the
    coefficients of ``-log(1 - transform)`` (Spitzer 1956). The transform is taken of probabilities
    times ``exp(tilt * k)``: less than one everywhere, so that coefficients fall off on both sides.
    """
    grown = np.exp(tilt * PLACES)
    rising, falling = np.fft.rfft((up * grown, down / grown), POINTS)
    positive = -np.fft.irfft(_logarithm(1.0 - rising * np.conj(falling)), POINTS)
    positive[0] = positive[POINTS // 2 :] = 0.0
    positive[: POINTS // 2] /= grown
    exponent = np.fft.rfft(positive) - positive.sum()
    return np.asarray(np.fft.irfft(np.exp(exponent), POINTS)[: POINTS // 2])


def _logarithm(numbers: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Natural logarithm by real functions; that of numpy takes six times as long near one."""
    found = np.empty_like(numbers)
    found.real = 0.5 * np.log(numbers.real**2 + numbers.imag**2)
    found.imag = np.arctan2(numbers.imag, numbers.real)
    return found


def _shared(rate_per_s: float, engines: float, service: ServiceTime) -> Wait:
    load = rate_per_s * service.mean_s
    probability = erlang_c(engines, load)
    residual_s = service.second_s2 / (2.0 * service.mean_s)
    mean_s = probability * residual_s / (engines - load)
    split = _decay(service, rate_per_s / engines, load / engines)
    return Wait(probability=probability, mean_s=mean_s, decay_per_s=engines * split)


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
