"""How much above the forecast to plan: a quantile of what was missed before, kept honest on-line.

Split conformal prediction (V. Vovk, A. Gammerman, G. Shafer, Algorithmic Learning in a Random
World, 2005): of n past scores, the ceil((n + 1) q)-th smallest is not exceeded with probability q.
Its level is corrected after each outcome (adaptive conformal inference, I. Gibbs and E. Candes,
NeurIPS 2021), because demand is not exchangeable.

A score is (seen - forecast) / scale. Three kinds compete by pinball loss on the past: a scale of
one (additive), the root of the forecast (counting noise) and the forecast (multiplicative).
A short history is pooled with ``PRIOR`` quantiles of a normal error of plausible size.
"""

import math
from bisect import bisect_left, insort
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from dgdr_planner.forecast.demand import Floats

#: Scores that a quantile is taken of, and those that its level is corrected by.
KEPT = 100
LOOKED_AT = 160
#: Pseudo-scores of a history of none; each real score displaces one.
PRIOR = 10
#: Relative error of one step that is assumed before any was seen: the middle of what the last
#: value misses on public traces (0.07 to 0.29).
USUAL_ERROR = 0.15
#: Step of the correction of the level after each outcome.
RATE = 0.005
#: The level stays between these shares of misses.
LEAST_MISS, MOST_MISS = 0.005, 0.5
#: Level at which plans are compared, whatever quantile is planned for: a higher one must not change
#: what is planned by, or it could plan less.
COMPARED_AT = 0.8
#: Powers of the forecast that scale a score: additive, counting noise, multiplicative.
POWERS = (0.0, 0.5, 1.0)
#: Scores from which the power is chosen; with fewer it is that of counting noise.
ENOUGH, COUNTING = 12, 1


@lru_cache(maxsize=PRIOR)
def _assumed(count: int) -> tuple[float, ...]:
    """Return the middles of ``count`` equally likely parts of a normal distribution."""
    return tuple(NormalDist().inv_cdf((k + 0.5) / count) for k in range(count))


def upper(
    seen: Floats, forecast: Floats, now: float, quantile: float, lead: int, step_s: float
) -> float:
    """Return the rate that the demand stays below with probability ``quantile``.

    ``seen`` and ``forecast``, shape (n,), are outcomes and what was said of them ``lead`` steps
    before, oldest first, without gaps; ``now`` is what is said now, and the least that is planned.
    """
    seen, said = seen[-LOOKED_AT:], np.append(forecast[-LOOKED_AT:], now)
    scales = _scales(said, step_s)
    scores = (seen - said[:-1]) / scales[:, :-1]
    best = int(np.argmin(_losses(scores, scales[:, :-1]))) if seen.size >= ENOUGH else COUNTING
    prior = _prior_sigma(said, lead, step_s) / scales[best]
    width = _width(scores[best].tolist(), prior.tolist(), quantile, lead)
    return max(now + width * float(scales[best, -1]), now)


def _scales(said: Floats, step_s: float) -> Floats:
    """Return what a score of one means by each of the powers, shape (powers, n + 1).

    A forecast below half of the usual one scales as that half: what follows on silence, relative
    to silence, would say nothing about what follows on load.
    """
    base = np.maximum(said, max(0.5 * float(said.sum()) / said.size, 1.0 / step_s))
    return np.array([base**power for power in POWERS])


def _losses(scores: Floats, scales: Floats) -> Floats:
    """Return what the one constant quantile that is best loses on the past, shape (powers,)."""
    rank = math.ceil(COMPARED_AT * scores.shape[1]) - 1
    width = np.partition(scores, rank, axis=1)[:, rank, None]
    rest = (scores - width) * scales
    return np.asarray(np.maximum(COMPARED_AT * rest, (COMPARED_AT - 1.0) * rest).sum(axis=1))


def _prior_sigma(forecast: Floats, lead: int, step_s: float) -> Floats:
    """Return the error that is assumed unseen: counting noise, and a drift that grows by lead."""
    rate = np.maximum(forecast, 1.0 / step_s)
    return np.asarray(np.sqrt(rate / step_s + lead * (USUAL_ERROR * rate) ** 2))


def _width(scores: list[float], prior: list[float], quantile: float, lead: int) -> float:
    """Return the score to plan for; ``prior`` has one assumed error more than there are scores.

    The scores of the last ``KEPT`` outcomes lie sorted; each outcome moves the share of misses
    that is aimed at.
    """
    aim = miss = 1.0 - quantile
    known: list[float] = []
    widths: list[float] = []
    for index in range(len(scores) + lead):
        outcome = index - lead
        if outcome >= 0:
            score = scores[outcome]
            insort(known, score)
            if outcome >= KEPT:
                del known[bisect_left(known, scores[outcome - KEPT])]
            miss += RATE * (aim - (score > widths[outcome]))
            miss = LEAST_MISS if miss < LEAST_MISS else MOST_MISS if miss > MOST_MISS else miss
        count = len(known)
        pooled = known if count >= PRIOR else _pooled(known, prior[min(index, len(prior) - 1)])
        rank = math.ceil((len(pooled) + 1) * (1.0 - miss))
        widths.append(pooled[rank - 1] if rank <= len(pooled) else pooled[-1])
    return widths[-1]


def _pooled(known: list[float], sigma: float) -> list[float]:
    """Return the scores with assumed ones in place of those that are still missing."""
    return sorted([*known, *(sigma * z for z in _assumed(PRIOR - len(known)))])
