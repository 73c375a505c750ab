"""How long one prompt keeps an engine busy, as a distribution."""

import math
from dataclasses import dataclass, field

import numpy as np
from scipy.special import gammaincc

from dgdr_perf.curve_fit import Array

# A gamma distribution with less variation is a number.
LEAST_CV2 = 1e-6
POWERS: Array = np.array([[0.0], [1.0], [2.0]])


@dataclass(frozen=True, slots=True)
class ServiceTime:
    """Distribution of the service time: a mixture of classes, each gamma around its mean.

    ``shares`` and ``seconds`` have shape (classes,); ``mean_s`` and ``second_s2`` are the first two
    moments, ``longest_s`` the mean of the longest class; ``cv2`` is the squared coefficient of
    variation within a class, 0 for equal prompts, ``variation`` that of all. ``shorter_s`` are the
    means less the longest; ``weighted``, of shape (3, classes), are shares times powers of means.
    """

    shares: Array
    seconds: Array
    cv2: float = 0.0
    mean_s: float = field(init=False)
    second_s2: float = field(init=False)
    longest_s: float = field(init=False)
    variation: float = field(init=False)
    shorter_s: Array = field(init=False)
    weighted: Array = field(init=False)

    def __post_init__(self) -> None:
        # Read at every step of every search.
        second_s2 = float(self.shares @ self.seconds**2) * (1.0 + self.cv2)
        mean_s = float(self.shares @ self.seconds)
        variation = max(second_s2 / mean_s**2 - 1.0, 0.0)
        object.__setattr__(self, "mean_s", mean_s)
        object.__setattr__(self, "second_s2", second_s2)
        longest_s = float(self.seconds.max())
        object.__setattr__(self, "longest_s", longest_s)
        object.__setattr__(self, "shorter_s", self.seconds - longest_s)
        object.__setattr__(self, "weighted", self.shares * self.seconds**POWERS)
        object.__setattr__(self, "variation", variation)

    def log_mgf(self, decay_per_s: float) -> tuple[float, float, float]:
        """``log E[exp(decay * S)]`` and two derivatives, for a decay below ``pole_per_s``."""
        top = exponent = decay_per_s * self.longest_s
        left = 1.0
        if self.cv2 > LEAST_CV2:
            left, top = 1.0 - exponent * self.cv2, -math.log1p(-exponent * self.cv2) / self.cv2
        if len(self.seconds) == 1:
            mean = self.longest_s / left
            return top, mean, self.cv2 * mean**2 if self.cv2 > LEAST_CV2 else 0.0
        if self.cv2 <= LEAST_CV2:
            grown = np.exp(decay_per_s * self.shorter_s)
            mass, first, second = (self.weighted @ grown).tolist()
        else:
            mass, first, second = self._moments(decay_per_s, top)
        mean = first / mass
        return top + math.log(mass), mean, max(second / mass - mean**2, 0.0)

    def _moments(self, decay_per_s: float, top: float) -> tuple[float, float, float]:
        """``E[S^n exp(decay * S - top)]`` for n up to 2."""
        lost = decay_per_s * self.cv2 * self.seconds
        weights = self.shares * np.exp(-np.log1p(-lost) / self.cv2 - top)
        longer = self.seconds / (1.0 - lost)
        second = (1.0 + self.cv2) * float(weights @ longer**2)
        return float(np.add.reduce(weights)), float(weights @ longer), second

    def on_lattice(self, step_s: float, points: int) -> Array:
        """Probabilities of multiples of a step; what is longer than the last counts as it.

        A length between two of them is shared out so that its mean stays.
        """
        if self.cv2 <= LEAST_CV2:
            at = np.minimum(self.seconds / step_s, points - 1.0)
            below = np.minimum(at.astype(np.int64), points - 2)
            above = at - below
            found = np.bincount(below, self.shares * (1.0 - above), points)
            found = found + np.bincount(below + 1, self.shares * above, points)
            return np.asarray(found, dtype=np.float64)
        shape, scale = 1.0 / self.cv2, self.seconds * self.cv2
        times = step_s * np.arange(points, dtype=np.float64)[:, None]
        beyond = self.seconds * gammaincc(shape + 1.0, times / scale)
        beyond -= times * gammaincc(shape, times / scale)
        return spread_on_lattice(beyond @ self.shares / step_s)

    @property
    def pole_per_s(self) -> float:
        """Decay from which ``log_mgf`` is infinite."""
        return math.inf if self.cv2 <= LEAST_CV2 else 1.0 / (self.cv2 * self.longest_s)


def spread_on_lattice(beyond: Array) -> Array:
    """Probabilities of 0, 1, ... of a positive number T, from ``E[(T - k)+]`` at each k.

    A number between two of them is shared out so that its mean stays; what is beyond the last
    counts as it.
    """
    slopes = np.empty(len(beyond) + 1)
    slopes[0], slopes[-1] = -1.0, 0.0
    np.subtract(beyond[1:], beyond[:-1], out=slopes[1:-1])
    return slopes[1:] - slopes[:-1]
