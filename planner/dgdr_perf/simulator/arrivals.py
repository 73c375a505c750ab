"""Requests as they come: times and lengths, read from somewhere or drawn by a generator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Requests that the simulator takes into memory at a time.
CHUNK = 1 << 16


class RequestsError(ValueError):
    """Requests that cannot be simulated; the message names the request, the value and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requests:
    """Requests in order of arrival. Arrays of one shape: (requests,)."""

    arrival_s: Array
    isl: Array
    osl: Array

    @classmethod
    def of(cls, arrival_s: ArrayLike, isl: ArrayLike, osl: ArrayLike) -> Self:
        """Sort by arrival; a single length counts for all requests.

        Raises:
            RequestsError: a time below 0, a length below 1, or either of them not finite.
        """
        times = np.atleast_1d(np.asarray(arrival_s, dtype=np.float64))
        order = np.argsort(times, kind="stable")
        columns = {
            "arrival_s": (times, 0.0),
            "isl": (np.broadcast_to(np.asarray(isl, dtype=np.float64), times.shape), 1.0),
            "osl": (np.broadcast_to(np.asarray(osl, dtype=np.float64), times.shape), 1.0),
        }
        for name, (values, least) in columns.items():
            _check(name, values, least)
        return cls(**{name: values[order] for name, (values, _) in columns.items()})

    def __len__(self) -> int:
        return len(self.arrival_s)

    def __getitem__(self, part: slice) -> Self:
        """Return some of the requests, without a copy."""
        return type(self)(arrival_s=self.arrival_s[part], isl=self.isl[part], osl=self.osl[part])

    def chunks(self, size: int = CHUNK) -> Iterator[Self]:
        """Return all requests in order, some at a time, without a copy."""
        return (self[first : first + size] for first in range(0, len(self), size))


def poisson(
    rng: np.random.Generator,
    rate_per_s: float | Callable[[Array], Array],
    duration_s: float,
    *,
    peak_per_s: float | None = None,
    isl: float = 3000.0,
    osl: float = 300.0,
) -> Requests:
    """Draw Poisson arrivals, all of the same lengths.

    A rate that changes is a function of times (shape (n,)) never above ``peak_per_s``; it is
    drawn by thinning a constant one (Lewis and Shedler, 1979).
    """
    peak = peak_per_s if callable(rate_per_s) else rate_per_s
    if peak is None:
        raise RequestsError("peak_per_s is missing: thinning needs the largest rate")
    times = np.sort(rng.uniform(0.0, duration_s, rng.poisson(peak * duration_s)))
    if callable(rate_per_s):
        times = times[rng.uniform(0.0, peak, len(times)) < rate_per_s(times)]
    return Requests.of(times, isl, osl)


def sine(
    rng: np.random.Generator,
    low_per_s: float,
    high_per_s: float,
    *,
    period_s: float,
    duration_s: float,
    isl: float,
    osl: float,
) -> Requests:
    """Draw Poisson arrivals whose rate swings as a sine from its lowest, as upstream's do."""
    middle, swing = (low_per_s + high_per_s) / 2.0, (high_per_s - low_per_s) / 2.0

    def rate(at_s: Array) -> Array:
        return middle + swing * np.sin(2.0 * np.pi * at_s / period_s - np.pi / 2.0)

    return poisson(rng, rate, duration_s, peak_per_s=high_per_s, isl=isl, osl=osl)


def _check(name: str, values: Array, least: float) -> None:
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= least)))
    if bad.size:
        raise RequestsError(
            f"request {bad[0]}: {name} is {values[bad[0]]}; it must be finite and at least"
            f" {least:g}; correct it or leave the request out"
        )
