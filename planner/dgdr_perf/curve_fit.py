"""Fitting: a physical form first, then a monotone correction of what it leaves over.

Latency curves are physical: a fixed part plus parts that grow with the tokens. Fitting that form
with non-negative coefficients gives a curve that never falls, has no cliffs and extrapolates
sensibly, from one point up. What the form misses is corrected by a monotone, piecewise linear map
from predicted to measured latency, so the result stays monotone in every input and continuous.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, nnls

Array = NDArray[np.float64]

# Pull towards the assumed shares of the terms. With enough well-spread points it shifts a
# coefficient by less than a thousandth; with one point it decides alone.
PRIOR_WEIGHT = 0.02
# Relative residual below which nothing counts as an outlier: repeatability of a good measurement.
QUIET = 0.02
# Huber's constant: 95 % efficient on clean data.
HUBER = 1.345
ROBUST_ROUNDS = 8

# Added per doubling beyond the measured range: nothing out there was seen.
MARGIN_PER_DOUBLING = 0.1
# With fewer points than the form has terms the split between fixed and growing part is a guess;
# this much covers growth in full proportion.
MARGIN_PER_DOUBLING_IF_FEW = 0.5


class ProfileError(ValueError):
    """A profile that cannot be used; the message names the point, the value and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A latency read off a curve, and whether it lies where somebody measured."""

    value_ms: float
    in_range: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """Monotone, piecewise linear map from predicted to measured latency."""

    predicted: Array
    measured: Array

    @classmethod
    def fit(cls, predicted: Array, measured: Array, weights: Array) -> Self:
        """Fit by isotonic regression; equal predictions share one knot."""
        knots, group = np.unique(np.round(predicted, 9), return_inverse=True)
        mass = np.bincount(group, weights)
        level = np.bincount(group, weights * measured) / mass
        return cls(knots, isotonic_regression(level, weights=mass).x)

    def __call__(self, predicted: Array) -> Array:
        """Correct predictions; outside the knots the more pessimistic of shift and scale."""
        first, last = self.predicted[0], self.predicted[-1]
        low, high = self.measured[0], self.measured[-1]
        inside = np.interp(predicted, self.predicted, self.measured)
        below = np.minimum(predicted - first, 0.0) * min(low / first, 1.0)
        above = np.maximum(predicted - last, 0.0) * max(high / last, 1.0)
        return np.asarray(inside + below + above, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class Form:
    """A latency as a sum of non-negative terms, calibrated on the points that it was fitted to.

    ``trust`` in each point is 1, and less for an outlier.
    """

    coefficients: Array
    calibration: Calibration
    margin_per_doubling: float
    trust: Array

    @classmethod
    def fit(cls, terms: Array, latency_ms: Array, shares: Sequence[float], inputs: int) -> Self:
        """Fit ``latency = terms @ coefficients`` with relative weights and few outliers in mind.

        ``terms`` has one row per point and one column per term. ``shares`` says which part of the
        latency each term is assumed to have where the points do not tell. ``inputs`` is the number
        of different inputs among the points.
        """
        coefficients, trust = _robust(terms, latency_ms, np.asarray(shares))
        weights = trust / latency_ms**2
        calibration = Calibration.fit(terms @ coefficients, latency_ms, weights)
        few = inputs < terms.shape[1]
        margin = MARGIN_PER_DOUBLING_IF_FEW if few else MARGIN_PER_DOUBLING
        return cls(coefficients, calibration, margin, trust)

    def plain(self, terms: Array) -> Array:
        """Latency in ms by the physical form alone."""
        return np.asarray(terms @ self.coefficients, dtype=np.float64)

    def margin(self, beyond: Array) -> Array:
        """Factor where the inputs are so many times the largest measured ones."""
        return 1.0 + self.margin_per_doubling * np.log2(np.maximum(beyond, 1.0))

    def __call__(self, terms: Array, beyond: Array) -> Array:
        """Latency in ms; ``beyond`` is how many times the largest measured input it lies at."""
        return self.calibration(self.plain(terms)) * self.margin(beyond)


def _robust(terms: Array, latency_ms: Array, shares: Array) -> tuple[Array, Array]:
    """Return coefficients and the trust in each point: 1 is full, an outlier has less."""
    relative = terms / latency_ms[:, None]
    scale = terms.mean(axis=0) / np.median(latency_ms)
    prior = PRIOR_WEIGHT * np.diag(scale)
    trust = np.ones(len(latency_ms))
    coefficients = np.zeros(terms.shape[1])
    for _ in range(ROBUST_ROUNDS):
        root = np.sqrt(trust)
        left = np.vstack([relative * root[:, None], prior])
        right = np.concatenate([root, PRIOR_WEIGHT * shares])
        coefficients = nnls(left / _columns(left), right)[0] / _columns(left)
        residual = np.abs(relative @ coefficients - 1.0)
        spread = max(1.4826 * float(np.median(residual)), QUIET)
        trust = np.minimum(1.0, HUBER * spread / np.maximum(residual, 1e-12))
    return coefficients, trust


def _columns(matrix: Array) -> Array:
    """Norm of each column: scaled columns keep the solver's tolerances meaningful."""
    return np.asarray(np.linalg.norm(matrix, axis=0), dtype=np.float64)


def checked(columns: dict[str, Sequence[float]], what: str) -> list[Array]:
    """Return the columns as arrays.

    Raises:
        ProfileError: no points, columns of different lengths, or a value that is not finite and
            positive; the message names the point by its index.
    """
    arrays = {name: np.asarray(values, dtype=np.float64) for name, values in columns.items()}
    lengths = {name: array.size for name, array in arrays.items()}
    if len(set(lengths.values())) != 1 or not all(lengths.values()):
        raise ProfileError(f"{what}: columns have {lengths} points; each point needs all of them")
    for name, array in arrays.items():
        bad = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
        if bad.size:
            raise ProfileError(
                f"{what} point {bad[0]}: {name} is {array[bad[0]]}; it must be finite and above 0;"
                " remove the point or measure it again"
            )
    return list(arrays.values())
