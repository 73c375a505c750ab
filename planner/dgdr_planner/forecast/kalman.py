"""A Kalman filter of level and damped trend that learns its noise from the data.

    level[t] = level[t-1] + trend[t-1] + N(0, drift)
    trend[t] = DAMPING trend[t-1] + N(0, bend)
    seen[t] = level[t] + N(0, noise)

The variances follow from the autocovariances c0, c1, c2 of the steps seen[t] - seen[t-1]: with
the stationary variance of the trend V = bend / (1 - DAMPING^2), c2 = DAMPING^2 V,
c1 = DAMPING V - noise and c0 = V + drift + 2 noise (A. C. Harvey, Forecasting, Structural Time
Series Models and the Kalman Filter, 1989, section 4.3 uses the same moments). A count over a window
is at best as sure as Poisson arrivals: noise is never below level / step.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dgdr_planner.forecast.demand import Floats
from dgdr_planner.forecast.smoothing import discounted

DAMPING = 0.9
DAMPED_TWICE = DAMPING * DAMPING
#: Moments forget with a half-life of 50 steps.
KEEP = 0.986
#: Standard error of an autocovariance over the remembered 70 steps, as a share of c0: a trend must
#: show beyond it, else noise would be extrapolated.
UNSURE = 0.12
#: Least share of the steps' variance that is a change of level: a filter must not fall asleep.
LEAST_DRIFT = 0.01


@dataclass(frozen=True, slots=True)
class Noise:
    """Variances per step, each of shape (n,), learned from the steps before and the present one."""

    noise: Floats
    drift: Floats
    bend: Floats


def kalman(rate_per_s: Floats, leads: int, step_s: float) -> Floats:
    """Return non-negative forecasts of shape (n, leads); NaN before three known steps."""
    level, trend = np.array(_filtered(rate_per_s.tolist(), learned_noise(rate_per_s, step_s)))
    grown = np.cumsum(DAMPING ** np.arange(leads))
    paths = np.maximum(level[:, None] + trend[:, None] * grown, 0.0)
    paths[np.cumsum(np.isfinite(rate_per_s)) < 3] = np.nan
    return np.asarray(paths)


def learned_noise(rate_per_s: Floats, step_s: float) -> Noise:
    """Return the variances that the autocovariances of the steps tell at each time."""
    steps = np.concatenate([[np.nan], rate_per_s[1:] - rate_per_s[:-1]])
    c0, c1, c2, level = _means(np.array([*_products(steps), rate_per_s]))
    trend = np.minimum(np.maximum(c2 - UNSURE * c0, 0.0), c0) / DAMPING**2
    least = level / step_s
    noise = np.minimum(np.maximum(DAMPING * trend - c1, least), np.maximum(0.5 * c0, least))
    drift = np.maximum(c0 - trend - 2.0 * noise - UNSURE * c0, LEAST_DRIFT * c0 + 1e-12)
    return Noise(noise + 1e-12, drift, (1.0 - DAMPING**2) * trend)


def _products(steps: Floats) -> Floats:
    """Return the steps times those of 0, 1 and 2 before, shape (3, n); NaN where one is unknown."""
    products = np.full((3, steps.size), np.nan)
    for lag in range(3):
        products[lag, lag:] = steps[lag:] * steps[: steps.size - lag]
    return products


def _means(rows: Floats) -> Floats:
    """Return the discounted means of what is known of each row; zero before anything is."""
    known = np.isfinite(rows).astype(np.float64)
    sums, counts = discounted(np.array([rows, known]), KEEP)
    return np.asarray(np.divide(sums, counts, out=np.zeros(rows.shape), where=counts > 1e-9))


def _filtered(seen: Sequence[float], noise: Noise) -> tuple[list[float], list[float]]:
    """Return level and trend after each step. A gap predicts and learns nothing.

    Plain floats on purpose: the recursion over 400 steps takes 0.2 ms, with arrays it takes 6.
    """
    levels: list[float] = []
    trends: list[float] = []
    level = trend = wide = cross = sloped = 0.0
    began = False
    for value, r, drift, bend in zip(
        seen, noise.noise.tolist(), noise.drift.tolist(), noise.bend.tolist(), strict=True
    ):
        known = value == value
        if began:
            level += trend
            trend *= DAMPING
            wide += 2.0 * cross + sloped + drift
            cross = DAMPING * (cross + sloped)
            sloped = DAMPED_TWICE * sloped + bend
            if known:
                error, total = value - level, wide + r
                gain, slope_gain = wide / total, cross / total
                level += gain * error
                level = level if level > 0.0 else 0.0
                trend += slope_gain * error
                sloped -= slope_gain * cross
                cross *= 1.0 - gain
                wide *= 1.0 - gain
        elif known:
            began, level, wide, sloped = True, value, r, r
        levels.append(level)
        trends.append(trend)
    return levels, trends
