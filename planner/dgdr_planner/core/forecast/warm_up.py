"""A history from a trace of requests, for a planner that starts without one of its own."""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dgdr_planner.core.forecast.demand import Demand, Floats

Counts = NDArray[np.intp]


def warmed_up(
    arrival_s: Iterable[float],
    isl: Iterable[float],
    osl: Iterable[float],
    *,
    window_s: float,
    until_s: float,
) -> Demand:
    """Return the demand of a trace whose last whole window ends at ``until_s``.

    Arrivals are in seconds of any epoch, in any order; one length of each kind for each. Windows
    begin with the first arrival; one without an arrival was idle; the last, incomplete one is left
    out. The trace is moved in time so that it ends now.
    """
    at, ins, outs = (np.asarray(list(values), dtype=np.float64) for values in (arrival_s, isl, osl))
    _check(at, ins, outs, window_s, until_s)
    at = at - at.min(initial=math.inf)
    whole = math.floor(at.max(initial=0.0) / window_s)
    place = np.floor(at / window_s).astype(np.int64)
    inside = place < whole
    count = np.bincount(place[inside], minlength=whole)
    ends = until_s - window_s * np.arange(whole - 1.0, -1.0, -1.0)
    means = [_mean(values[inside], place[inside], count) for values in (ins, outs)]
    return Demand.from_series(ends, count / window_s, window_s, *means)


def _mean(values: Floats, place: Counts, count: Counts) -> Floats:
    total = np.bincount(place, values, count.size)
    return np.asarray(np.divide(total, count, out=np.full(count.size, np.nan), where=count > 0))


def _check(at: Floats, ins: Floats, outs: Floats, window_s: float, until_s: float) -> None:
    if not (math.isfinite(window_s) and window_s > 0):
        raise ValueError(f"window_s is {window_s}: give the seconds of a window, > 0")
    if not math.isfinite(until_s):
        raise ValueError(f"until_s is {until_s}: give the time at which the trace ends")
    for name, values in (("arrival_s", at), ("isl", ins), ("osl", outs)):
        if values.size != at.size:
            raise ValueError(f"{name} has {values.size} values for {at.size} arrivals")
        wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
        if wrong.size:
            raise ValueError(
                f"{name} of request {wrong[0]} is {values[wrong[0]]}: give a number >= 0"
            )
