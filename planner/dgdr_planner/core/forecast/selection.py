"""Which forecaster speaks: the last value, until another one was clearly better.

At each time only those errors count whose outcome was known then, so that what the selection would
have said at each past time can be told again from the history alone: nothing needs to be kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgdr_planner.core.forecast.demand import Floats
from dgdr_planner.core.forecast.discounted import discounted

#: Errors forget with a half-life of 35 steps.
KEEP = 0.98
#: Fewest outcomes before a forecaster may take over.
ENOUGH = 8
#: Standard errors by which it must be better, and least share of the last value's error.
CLEARLY, WORTH = 1.5, 0.03
#: Recent errors: a half-life of 2 steps. It backs off when it lost this much of the usual error.
RECENT_KEEP, LOST = 0.7, 1.0
#: A step that misses the forecast this many times the usual miss is news: the last value speaks.
NEWS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Forecasts of one model: ``paths[t, j - 1]`` is for step t + j, made after step t."""

    model: str
    paths: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What was said at each time: ``paths`` of shape (n, leads), and who speaks now."""

    model: str
    paths: Floats


def select(
    rate_per_s: Floats, candidates: Sequence[Candidate], weights: Floats | None = None
) -> Chosen:
    """Choose among candidates, at each time; the first one is the floor.

    ``rate_per_s`` has shape (n,); scored is the farthest lead, which is what is planned for.
    ``weights``, shape (n,), say how much an outcome counts.
    """
    lead = candidates[0].paths.shape[1]
    errors = np.column_stack([_errors(rate_per_s, c.paths[:, -1], lead) for c in candidates])
    nexts = np.column_stack([_errors(rate_per_s, c.paths[:, 0], 1) for c in candidates])
    if weights is not None:
        errors = errors * (weights / max(float(weights.mean()), 1e-12))[:, None]
    better = _clearly_better(errors, lead) & ~_lost_lately(errors) & ~_surprised(nexts)
    paths = np.stack([c.paths for c in candidates])
    spoken = np.isfinite(paths).all(axis=2).T
    share = np.where(better & spoken, _relative(errors), np.inf)
    share[:, 0] = 1.0
    choice = np.argmin(share, axis=1)
    chosen = paths[choice, np.arange(rate_per_s.size)]
    return Chosen(model=candidates[int(choice[-1])].model, paths=chosen)


def _errors(rate_per_s: Floats, forecast: Floats, lead: int) -> Floats:
    """Return |error| known at each time, shape (n,): that of the forecast made ``lead`` ago."""
    errors = np.full(rate_per_s.size, np.nan)
    errors[lead:] = np.abs(rate_per_s[lead:] - forecast[:-lead])
    return errors


def _gains(errors: Floats) -> Floats:
    """Return by how much each candidate missed less than the floor; NaN where one is unknown."""
    return np.asarray(errors[:, :1] - errors)


def _relative(errors: Floats) -> Floats:
    """Return the discounted error of each candidate over the floor's at the same steps."""
    own = discounted(errors, KEEP)
    floor = discounted(np.where(np.isfinite(errors), errors[:, :1], np.nan), KEEP)
    return np.divide(own, floor, out=np.ones_like(own), where=floor > 0)


def _clearly_better(errors: Floats, lead: int) -> NDArray[np.bool_]:
    """Return where a candidate's mean gain is sure and worth it, shape (n, candidates).

    Errors at a lead of several steps overlap, so that only every lead-th one is news.
    """
    gains = _gains(errors)
    known = np.isfinite(gains)
    weight = discounted(known.astype(np.float64), KEEP)
    weight_2 = discounted(known.astype(np.float64), KEEP**2)
    some = np.maximum(weight, 1e-9)
    mean = discounted(gains, KEEP) / some
    variance = np.maximum(discounted(gains**2, KEEP) / some - mean**2, 0.0)
    count = weight**2 / np.maximum(weight_2, 1e-9) / lead
    sure = mean > CLEARLY * np.sqrt(variance / np.maximum(count, 1e-9))
    floor = discounted(np.where(known, errors[:, :1], np.nan), KEEP) / some
    enough = np.cumsum(known, axis=0) >= ENOUGH + lead - 1
    return np.asarray(enough & sure & (mean > WORTH * floor))


def _lost_lately(errors: Floats) -> NDArray[np.bool_]:
    """Return where a candidate lost more to the floor lately than the floor usually misses."""
    gains = _gains(errors)
    usual = discounted(errors[:, :1], KEEP) / np.maximum(
        discounted(np.isfinite(errors[:, :1]).astype(np.float64), KEEP), 1e-9
    )
    return np.asarray(discounted(gains, RECENT_KEEP) < -LOST * usual)


def _surprised(nexts: Floats) -> NDArray[np.bool_]:
    """Return where the present step was missed far more than usual before it."""
    known = np.isfinite(nexts).astype(np.float64)
    usual = discounted(nexts, KEEP) / np.maximum(discounted(known, KEEP), 1e-9)
    before = np.vstack([np.full((1, nexts.shape[1]), np.inf), usual[:-1]])
    return np.asarray(np.nan_to_num(nexts) > NEWS * before)
