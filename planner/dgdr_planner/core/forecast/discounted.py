"""Sums over the past in which a step counts ``keep`` times as much as the next one.

Arrays are short and calls are many: what is summed alike is stacked and summed in one call.
"""

from functools import lru_cache

import numpy as np

from dgdr_planner.core.forecast.demand import Floats

#: One discount per step, or several that are tried on the same values.
Keep = float | tuple[float, ...]


@lru_cache(maxsize=64)
def _growth(keep: Keep, size: int) -> Floats:
    """Return ``keep ** -step``, shape (*k, 1, size) for a keep of shape k."""
    return np.asarray(np.power.outer(keep, -np.arange(float(size))))[..., None, :]


def discounted(rows: Floats, keep: Keep) -> Floats:
    """Return the running discounted sums of ``rows``, shape (..., rows, n), along the last axis.

    The shape is that of ``rows``; for several discounts of two axes it is (discounts, rows, n).
    ``s[t] = rows[t] + keep * s[t - 1]``, by one cumulative sum; NaN counts as nothing. Exact to
    rounding as long as ``keep ** -steps`` is a finite number: 0.2 at 400 steps.
    """
    growth = _growth(keep, rows.shape[-1])
    known = np.where(np.isfinite(rows), rows, 0.0)
    return np.asarray((known * growth).cumsum(axis=-1) / growth)


@lru_cache(maxsize=64)
def fading(size: int, keep: float) -> Floats:
    """Return what each of ``size`` steps counts, the oldest first; the newest counts one."""
    return np.asarray(keep ** np.arange(size - 1, -1, -1, dtype=np.float64))


def filled(values: Floats) -> Floats:
    """Return ``values``, shape (..., n), with each gap holding what was known before it."""
    known = np.isfinite(values)
    if known.all():
        return values
    where = np.where(known, np.arange(values.shape[-1]), 0)
    np.maximum.accumulate(where, axis=-1, out=where)
    return np.take_along_axis(values, where, axis=-1)
