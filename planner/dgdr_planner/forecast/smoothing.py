"""Sums over the past, in which a step counts ``keep`` times as much as the next, and forecasts.

Last value, mean, median, damped straight line. Arrays are short and calls are many: what is summed
alike is stacked and summed in one call.
"""

from functools import lru_cache

import numpy as np

from dgdr_planner.forecast.demand import Floats

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


#: Discounts per step and dampings of the trends: quick, middling, slow.
TREND_KEEPS, TREND_DAMPINGS = (0.4, 0.65, 0.85), (0.8, 0.85, 0.9)
#: Discounts per step of the means.
MEANS = (0.6, 0.8, 0.95)
MEDIAN_OF = 9
#: Standard errors of a count that a step must rise by to be a rise, its damping, and the most that
#: it may add, as a multiple of the window before: what comes out of nothing is a burst.
RISE, RISE_DAMPING, RISE_MOST = 3.0, 0.7, 2.0


def last_values(rate_per_s: Floats, leads: int) -> Floats:
    """Return forecasts of shape (n, leads): each step repeats what was last known."""
    return np.asarray(np.repeat(filled(rate_per_s)[:, None], leads, axis=1))


def damped_trend(rate_per_s: Floats, leads: int, keep: Keep, damping: Keep) -> Floats:
    """Return forecasts of shape (n, leads) of a line fitted to the discounted past.

    Discounted least squares (R. G. Brown, Smoothing, Forecasting and Prediction, 1963) instead of
    Holt's recursion: its sums need no loop and take gaps as they are. The slope is damped as by
    E. S. Gardner and E. McKenzie (Management Science 31, 1985): a trend is not for ever.
    For k discounts, each with a damping of its own, the shape is (k, n, leads).
    """
    known = np.isfinite(rate_per_s)
    step = np.arange(rate_per_s.size, dtype=np.float64)
    value = np.where(known, rate_per_s, 0.0)
    ones = known.astype(np.float64)
    moments = np.array([ones, ones * step, ones * step**2, value, value * step])
    sums = discounted(moments, keep).swapaxes(0, -2)
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, square, average, product = sums[1:] / sums[0]
        spread = square - middle**2
        slope = np.where(spread > 0.05, (product - middle * average) / spread, 0.0)
    level = average + slope * (step - middle)
    grown = _grown(damping, leads)[..., None, :]
    paths = np.maximum(level[..., None] + slope[..., None] * grown, 0.0)
    paths[..., np.cumsum(ones) < 3, :] = np.nan
    return np.asarray(paths)


@lru_cache(maxsize=64)
def _grown(damping: Keep, leads: int) -> Floats:
    """Return what a slope of one adds within each number of steps, shape (*k, leads)."""
    return np.asarray(np.cumsum(np.power.outer(damping, np.arange(1, leads + 1)), axis=-1))


def means(values: Floats, weights: Floats, leads: int, keep: Keep) -> Floats:
    """Return forecasts of shape (n, leads): the weighted mean of the discounted past.

    With equal weights this is exponential smoothing without its start-up bias. Noise and bursts
    have no trend. ``weights`` has shape (n,). For k discounts the shape is (k, n, leads).
    """
    return np.asarray(np.repeat(mean(values, weights, keep)[..., None], leads, axis=-1))


def mean(values: Floats, weights: Floats, keep: Keep) -> Floats:
    """Return the weighted mean of the discounted past, shape (..., n) as ``values``.

    For k discounts of one series the shape is (k, n). NaN before anything is known.
    """
    weight = np.where(np.isfinite(values), weights, 0.0)
    sums = discounted(np.stack([weight * values, weight], axis=-2), keep)
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[..., 0, :] / sums[..., 1, :])


def medians(rate_per_s: Floats, leads: int) -> Floats:
    """Return forecasts of shape (n, leads): the median of the last nine known steps.

    Where single windows stand out, the next one is best told by those that do not.
    """
    held = filled(rate_per_s)
    paths = np.full((held.size, leads), np.nan)
    newest = np.arange(MEDIAN_OF - 1, held.size)[:, None]
    lately = held[newest - np.arange(MEDIAN_OF)]
    paths[MEDIAN_OF - 1 :] = np.sort(lately, axis=1)[:, MEDIAN_OF // 2, None]
    return paths


def rises(rate_per_s: Floats, leads: int, step_s: float) -> Floats:
    """Return forecasts of shape (n, leads): the newest change goes on, damped, where it is clear.

    Two windows are no trend yet, but the first rise of a day cannot wait for the third: a change by
    more than the noise of counting is believed until the rest of the past says what came of such.
    """
    held = filled(rate_per_s)
    before = np.concatenate([[np.nan], held[:-1]])
    change = held - before
    clear = np.abs(change) > RISE * np.sqrt(np.maximum(held, 1.0) / step_s)
    added = np.where(clear, change, 0.0)[:, None] * _grown(RISE_DAMPING, leads)
    most = RISE_MOST * np.where(clear, before, 0.0)[:, None]
    return np.asarray(np.maximum(held[:, None] + np.minimum(added, most), 0.0))
