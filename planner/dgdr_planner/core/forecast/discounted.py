"""Sums over the past in which a step counts ``keep`` times as much as the next one."""

from functools import lru_cache

import numpy as np

from dgdr_planner.core.forecast.demand import Floats


@lru_cache(maxsize=64)
def _growth(keep: float, size: int) -> Floats:
    return np.asarray(keep ** -np.arange(size, dtype=np.float64))


def discounted(values: Floats, keep: float) -> Floats:
    """Return the running discounted sums of ``values`` along its first axis, shape unchanged.

    ``s[t] = values[t] + keep * s[t - 1]``, by one cumulative sum; NaN counts as nothing. Exact to
    rounding as long as ``keep ** -steps`` is a finite number: 0.2 at 400 steps.
    """
    growth = _growth(keep, values.shape[0]).reshape(-1, *(1,) * (values.ndim - 1))
    known = np.where(np.isfinite(values), values, 0.0)
    return np.asarray(np.cumsum(known * growth, axis=0) / growth)


def filled(values: Floats) -> Floats:
    """Return ``values`` of shape (n,) with each gap holding what was known before it."""
    where = np.where(np.isfinite(values), np.arange(values.size), -1)
    np.maximum.accumulate(where, out=where)
    return np.where(where >= 0, values[where], np.nan)
