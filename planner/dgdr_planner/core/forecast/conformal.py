"""How much above the forecast to plan: a quantile of what was missed before, kept honest on-line.

Split conformal prediction (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random
World, 2005): of n past scores, the ceil((n + 1) q)-th smallest is not exceeded with probability q.
Its level is corrected after each outcome (adaptive conformal inference, I. Gibbs and E. Candes,
NeurIPS 2021), because demand is not exchangeable.

A score is (seen - forecast) / scale. Three scales compete by pinball loss on the past: one
(additive), the root of the forecast (counting noise), the forecast (multiplicative).
A short history is pooled with ``PRIOR`` quantiles of a normal error of plausible size.
"""

import math
from bisect import bisect_left, insort
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from dgdr_planner.core.forecast.demand import Floats

#: Scores that a quantile is taken of, and those that its level is corrected by.
KEPT = 100
LOOKED_AT = 160
#: Pseudo-scores of a history of none; each real score displaces one.
PRIOR = 20
#: Relative error of one step that is assumed before any was seen: the middle of what the last
#: value misses on public traces (0.07 to 0.29).
USUAL_ERROR = 0.15
#: Step of the correction of the level after each outcome.
RATE = 0.02
#: The level stays between these shares of misses.
LEAST_MISS, MOST_MISS = 0.005, 0.5
POWERS = (0.0, 0.5, 1.0)


@lru_cache(maxsize=PRIOR)
def _assumed(count: int) -> tuple[float, ...]:
    """Return the middles of ``count`` equally likely parts of a normal distribution."""
    return tuple(NormalDist().inv_cdf((k + 0.5) / count) for k in range(count))


def upper(
    seen: Floats, forecast: Floats, now: float, quantile: float, lead: int, step_s: float
) -> float:
    """Return the rate that the demand stays below with probability ``quantile``.

    ``seen`` and ``forecast``, shape (n,), are outcomes and what was said of them ``lead`` steps
    before, oldest first, without gaps; ``now`` is what is said now.
    """
    seen, forecast = seen[-LOOKED_AT:], forecast[-LOOKED_AT:]
    power = _best_power(seen, forecast, quantile, step_s)
    scale = _scale(np.append(forecast, now), power, step_s)
    scores = (seen - forecast) / scale[:-1]
    prior = _prior_sigma(np.append(forecast, now), lead, step_s) / scale
    width = _width(scores.tolist(), prior.tolist(), quantile, lead)
    return max(now + width * float(scale[-1]), 0.0)


def _scale(forecast: Floats, power: float, step_s: float) -> Floats:
    """Return what a score of one means; never less than one request of a step."""
    return np.asarray(np.maximum(forecast, 1.0 / step_s) ** power)


def _prior_sigma(forecast: Floats, lead: int, step_s: float) -> Floats:
    """Return the error that is assumed unseen: counting noise, and a drift that grows by lead."""
    rate = np.maximum(forecast, 1.0 / step_s)
    return np.asarray(np.sqrt(rate / step_s + lead * (USUAL_ERROR * rate) ** 2))


def _best_power(seen: Floats, forecast: Floats, quantile: float, step_s: float) -> float:
    """Return the scale whose one constant quantile loses least; the root where little was seen."""
    if seen.size < PRIOR:
        return 0.5
    losses = []
    for power in POWERS:
        scale = _scale(forecast, power, step_s)
        scores = (seen - forecast) / scale
        rest = (scores - np.quantile(scores, quantile)) * scale
        losses.append(float(np.mean(np.maximum(quantile * rest, (quantile - 1.0) * rest))))
    return POWERS[losses.index(min(losses))]


def _width(scores: list[float], prior: list[float], quantile: float, lead: int) -> float:
    """Return the score to plan for; ``prior`` has one assumed error more than there are scores."""
    miss = 1.0 - quantile
    known: list[float] = []
    widths: list[float] = []
    for index in range(len(scores) + lead):
        outcome = index - lead
        if outcome >= 0:
            insort(known, scores[outcome])
            if outcome >= KEPT:
                del known[bisect_left(known, scores[outcome - KEPT])]
            missed = scores[outcome] > widths[outcome]
            miss += RATE * ((1.0 - quantile) - missed)
            miss = min(max(miss, LEAST_MISS), MOST_MISS)
        widths.append(_ranked(known, prior[min(index, len(prior) - 1)], 1.0 - miss))
    return widths[-1]


def _ranked(known: list[float], sigma: float, level: float) -> float:
    pooled = known
    if len(known) < PRIOR:
        pooled = sorted([*known, *(sigma * z for z in _assumed(PRIOR - len(known)))])
    rank = math.ceil((len(pooled) + 1) * level)
    return pooled[min(rank, len(pooled)) - 1]
