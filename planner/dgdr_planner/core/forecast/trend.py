"""The forecasters that are sums over the past: last value, mean, median, damped straight line."""

import numpy as np

from dgdr_planner.core.forecast.demand import Floats
from dgdr_planner.core.forecast.discounted import discounted, filled

#: Discount per step and damping of the trend: quick, middling, slow.
TRENDS = ((0.4, 0.8), (0.65, 0.85), (0.85, 0.9))
#: Discounts per step of the means.
MEANS = (0.6, 0.8, 0.95)
MEDIAN_OF = 9
#: Standard errors of a count that a step must rise by to be a rise, its damping, and the most that
#: it may add, as a multiple of the window before: what comes out of nothing is a burst.
RISE, RISE_DAMPING, RISE_MOST = 3.0, 0.7, 2.0


def last_values(rate_per_s: Floats, leads: int) -> Floats:
    """Return forecasts of shape (n, leads): each step repeats what was last known."""
    return np.asarray(np.repeat(filled(rate_per_s)[:, None], leads, axis=1))


def damped_trend(rate_per_s: Floats, leads: int, keep: float, damping: float) -> Floats:
    """Return forecasts of shape (n, leads) of a line fitted to the discounted past.

    Discounted least squares (R. G. Brown, Smoothing, Forecasting and Prediction, 1963) instead of
    Holt's recursion: its sums need no loop and take gaps as they are. The slope is damped as by
    E. S. Gardner and E. McKenzie (Management Science 31, 1985): a trend is not for ever.
    """
    known = np.isfinite(rate_per_s)
    step = np.arange(rate_per_s.size, dtype=np.float64)
    value = np.where(known, rate_per_s, 0.0)
    ones = known.astype(np.float64)
    sums = discounted(
        np.column_stack([ones, ones * step, ones * step**2, value, value * step]), keep
    )
    weight, first, second, total, moment = sums.T
    with np.errstate(divide="ignore", invalid="ignore"):
        middle, mean = first / weight, total / weight
        spread = second / weight - middle**2
        slope = np.where(spread > 0.05, (moment / weight - middle * mean) / spread, 0.0)
    level = mean + slope * (step - middle)
    grown = np.cumsum(damping ** np.arange(1, leads + 1))
    paths = np.maximum(level[:, None] + slope[:, None] * grown[None, :], 0.0)
    paths[np.cumsum(ones) < 3] = np.nan
    return np.asarray(paths)


def means(values: Floats, weights: Floats, leads: int, keep: float) -> Floats:
    """Return forecasts of shape (n, leads): the weighted mean of the discounted past.

    With equal weights this is exponential smoothing without its start-up bias. Noise and bursts
    have no trend. ``weights`` has shape (n,).
    """
    weight = np.where(np.isfinite(values), weights, 0.0)
    sums = discounted(np.column_stack([weight * values, weight]), keep)
    none = np.full(values.size, np.nan)
    mean = np.divide(sums[:, 0], sums[:, 1], out=none, where=np.cumsum(weight) > 0)
    return np.asarray(np.repeat(mean[:, None], leads, axis=1))


def medians(rate_per_s: Floats, leads: int) -> Floats:
    """Return forecasts of shape (n, leads): the median of the last nine known steps.

    Where single windows stand out, the next one is best told by those that do not.
    """
    held = filled(rate_per_s)
    paths = np.full((held.size, leads), np.nan)
    if held.size >= MEDIAN_OF:
        views = np.lib.stride_tricks.sliding_window_view(held, MEDIAN_OF)
        paths[MEDIAN_OF - 1 :] = np.sort(views, axis=1)[:, MEDIAN_OF // 2, None]
    return paths


def rises(rate_per_s: Floats, leads: int, step_s: float) -> Floats:
    """Return forecasts of shape (n, leads): the newest change goes on, damped, where it is clear.

    Two windows are no trend yet, but the first rise of a day cannot wait for the third: a change by
    more than the noise of counting is believed until the rest of the past says what came of such.
    """
    held = filled(rate_per_s)
    change = np.diff(held, prepend=np.nan)
    clear = np.abs(change) > RISE * np.sqrt(np.maximum(held, 1.0) / step_s)
    grown = np.cumsum(RISE_DAMPING ** np.arange(1, leads + 1))
    added = np.where(clear, change, 0.0)[:, None] * grown[None, :]
    most = RISE_MOST * np.nan_to_num(held - change)[:, None]
    return np.asarray(np.maximum(held[:, None] + np.minimum(added, most), 0.0))
