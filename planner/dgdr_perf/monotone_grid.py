"""What a physical form misses over two inputs: a smooth correction that keeps the sum monotone.

Around each point the ratio of measured to predicted latency is carried over to its neighbours, by
kernel regression on logarithmic axes (Nadaraya 1964, Watson 1964), shrunk to no correction where
no point is near. On a grid the corrected latency is then made monotone along both axes: the mean
of its running maximum from below and its running minimum from above, which both are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from dgdr_perf.curve_fit import Array

NODES = 48
# In logarithms: a point speaks for inputs within a third of its own.
REACH = 0.3
# Weight of "no correction", in points.
SHRINK = 0.03

Indices = NDArray[np.intp]
Predict = Callable[[Array, Array], Array]


@dataclass(frozen=True, slots=True)
class MonotoneGrid:
    """Latency at nodes; ``latency_ms`` has shape (len(second), len(first)).

    Both axes ascend. Between the nodes it is linear in each input.
    """

    first: Array
    second: Array
    latency_ms: Array

    @classmethod
    def fit(
        cls, first: Array, second: Array, latency_ms: Array, trust: Array, predict: Predict
    ) -> Self:
        """Correct ``predict(first, second)`` towards points; ``trust`` in each is from 0 to 1."""
        missed = np.log(latency_ms / predict(first, second))
        nodes, others = _axis(first), _axis(second)
        grid = np.meshgrid(nodes, others)
        distance2 = (np.log(grid[0])[..., None] - np.log(first)) ** 2
        distance2 += (np.log(grid[1])[..., None] - np.log(second)) ** 2
        weights = trust * np.exp(-distance2 / (2.0 * REACH**2))
        correction = (weights @ missed) / (weights.sum(axis=-1) + SHRINK)
        predicted = predict(grid[0].ravel(), grid[1].ravel()).reshape(grid[0].shape)
        return cls(nodes, others, _monotone(predicted * np.exp(correction)))

    def __call__(self, first: Array, second: float) -> Array:
        """Latency at each ``first`` and one ``second``; outside of the grid that of its edge."""
        index = max(int(self.second.searchsorted(second)) - 1, 0)
        after = min(index + 1, len(self.second) - 1)
        low, high = float(self.second[index]), float(self.second[after])
        share = min(max((second - low) / (high - low), 0.0), 1.0) if high > low else 0.0
        row = (1.0 - share) * self.latency_ms[index] + share * self.latency_ms[after]
        return np.asarray(np.interp(first, self.first, row), dtype=np.float64)

    def at(self, first: Array, second: Array) -> Array:
        """Latency at each pair; shapes broadcast. Outside of the grid that of its edge."""
        low, after, share = _places(self.first, first)
        below, above, part = _places(self.second, second)
        lower = (1.0 - part) * self.latency_ms[below, low] + part * self.latency_ms[above, low]
        upper = (1.0 - part) * self.latency_ms[below, after] + part * self.latency_ms[above, after]
        return np.asarray((1.0 - share) * lower + share * upper, dtype=np.float64)


def _places(axis: Array, values: Array) -> tuple[Indices, Indices, Array]:
    """Return the nodes around each value, and how far it is from the first to the second."""
    low = np.clip(np.searchsorted(axis, values) - 1, 0, len(axis) - 1)
    after = np.minimum(low + 1, len(axis) - 1)
    width = np.where(after > low, axis[after] - axis[low], 1.0)
    share = np.where(after > low, np.clip((values - axis[low]) / width, 0.0, 1.0), 0.0)
    return low, after, share


def _axis(values: Array) -> Array:
    low, high = float(values.min()), float(values.max())
    return np.array([low]) if low == high else np.geomspace(low, high, NODES)


def _monotone(values: Array) -> Array:
    """Return the mean of the smallest rising surface above and the largest below."""
    above = np.maximum.accumulate(np.maximum.accumulate(values, axis=0), axis=1)
    turned = values[::-1, ::-1]
    below = np.minimum.accumulate(np.minimum.accumulate(turned, axis=0), axis=1)[::-1, ::-1]
    return np.asarray((above + below) / 2.0, dtype=np.float64)
