"""Requests that Prometheus tells of: rates per step and how long requests were, not single ones."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from dgdr_perf.simulator.arrivals import Array, Requests, poisson
from dgdr_planner.observe.histogram import Histogram
from dgdr_rehearsal.replay.traces import TraceError


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Values of equal steps; NaN where no series has one. Arrays of shape (steps,)."""

    at_s: Array
    values: Array

    @property
    def step_s(self) -> float:
        """Seconds between two values."""
        return float(np.diff(self.at_s).min())


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How lengths were spread in windows that end at ``at_s`` (shape (windows,), ascending).

    ``means`` are exact where they are known, NaN otherwise; the shape is that of the buckets.
    """

    at_s: Array
    told: tuple[Histogram, ...]
    means: Array

    def drawn(self, moments_s: Array, rng: np.random.Generator) -> Array:
        """Draw a length for each moment, from the window that it is in or else the next."""
        place = np.minimum(np.searchsorted(self.at_s, moments_s), len(self.told) - 1)
        chance = rng.random(moments_s.shape)
        lengths = np.empty(moments_s.shape)
        for window in np.unique(place):
            mean = float(self.means[window])
            points = self.told[window].points(mean if math.isfinite(mean) else None)
            shares, values = np.array(points).T
            inside = place == window
            lengths[inside] = np.interp(chance[inside], shares, values)
        return lengths


Lengths = Range | Spread | float


def read_range(text: str) -> Range:
    """Read the answer of ``/api/v1/query_range``; several series are added up.

    Raises:
        TraceError: not such an answer, or fewer than two moments in it.
    """
    try:
        answer = json.loads(text)
    except json.JSONDecodeError as exc:
        raise TraceError(f"line {exc.lineno}: {exc.msg}; save the answer of query_range") from exc
    data = answer.get("data", answer) if isinstance(answer, dict) else None
    if not isinstance(data, dict) or data.get("resultType") != "matrix":
        found = data.get("resultType") if isinstance(data, dict) else type(answer).__name__
        raise TraceError(
            f"resultType is {found!r}, expected 'matrix': save the answer of"
            " /api/v1/query_range, not of /api/v1/query"
        )
    totals: dict[float, float] = {}
    for number, series in enumerate(data.get("result", [])):
        for at_s, value in _samples(number, series):
            totals[at_s] = totals.get(at_s, 0.0) + value
    if len(totals) < 2:
        raise TraceError(f"the range holds {len(totals)} moments; ask for a longer one")
    return _even(totals)


def requests_of_rate(
    rate_per_s: Range, isl: Lengths, osl: Lengths, rng: np.random.Generator
) -> Requests:
    """Draw Poisson arrivals at these rates, with the lengths of their moments.

    The two lengths of a request are drawn without regard to each other: nobody counts them jointly.

    A value holds for the step that ends at it, as ``rate(x[step])`` does. A rate that is not
    known counts as 0: a gap cannot be rehearsed.

    Raises:
        TraceError: a negative rate, or no length that is known.
    """
    rates = np.nan_to_num(rate_per_s.values, nan=0.0)
    if (rates < 0).any():
        at = int(np.argmin(rates))
        raise TraceError(f"value {at} is {rates[at]:g}; give requests per second, at least 0")
    step_s = rate_per_s.step_s
    begin_s = rate_per_s.at_s[0] - step_s

    def rate(at_s: Array) -> Array:
        return np.asarray(rates[np.minimum(at_s // step_s, len(rates) - 1).astype(int)])

    drawn = poisson(rng, rate, len(rates) * step_s, peak_per_s=max(float(rates.max()), 1e-9))
    moments = begin_s + drawn.arrival_s
    return Requests.of(
        drawn.arrival_s, _lengths("isl", isl, moments, rng), _lengths("osl", osl, moments, rng)
    )


def _lengths(name: str, length: Lengths, moments_s: Array, rng: np.random.Generator) -> Array:
    if isinstance(length, Spread):
        return np.maximum(np.rint(length.drawn(moments_s, rng)), 1.0)
    if not isinstance(length, Range):
        return np.full(moments_s.shape, length)
    known = np.isfinite(length.values) & (length.values > 0)
    if not known.any():
        raise TraceError(f"{name} is not known at any moment; give it as a number")
    found = np.interp(moments_s, length.at_s[known], length.values[known])
    return np.maximum(found, 1.0)


def _samples(number: int, series: Any) -> list[tuple[float, float]]:
    try:
        pairs = [(float(at_s), float(value)) for at_s, value in series["values"]]
    except (KeyError, TypeError, ValueError) as exc:
        raise TraceError(
            f"series {number} has no list of [time, value] pairs under 'values' ({exc});"
            " save the answer of query_range as it is"
        ) from exc
    return [(at_s, value) for at_s, value in pairs if math.isfinite(value)]


def _even(totals: dict[float, float]) -> Range:
    known_s = np.array(sorted(totals))
    step_s = float(np.diff(known_s).min())
    place = np.rint((known_s - known_s[0]) / step_s).astype(int)
    values = np.full(place[-1] + 1, np.nan)
    values[place] = [totals[at_s] for at_s in known_s]
    return Range(at_s=known_s[0] + step_s * np.arange(len(values)), values=values)
