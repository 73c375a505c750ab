"""Which forecaster speaks: the last value, until another one was clearly better.

Candidates know at each step only what came before it, so that their errors are those that they
would have made, and the whole selection can be told again from the history alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgdr_planner.core.forecast.demand import Floats

#: Errors forget with a half-life of 35 steps.
KEEP = 0.98
#: Fewest outcomes before a forecaster may take over.
ENOUGH = 8
#: Standard errors by which it must be better, and least share of the last value's error. About ten
#: compete, so that one in twenty by chance for all of them is 2.6 for each.
CLEARLY, WORTH = 2.4, 0.03
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
    """Who speaks now, and ``paths`` of shape (n, leads): what that one said at each time.

    NaN where that one could not speak yet.
    """

    model: str
    paths: Floats


def select(
    rate_per_s: Floats, candidates: Sequence[Candidate], weights: Floats | None = None
) -> Chosen:
    """Choose who speaks now; the first candidate is the floor.

    ``rate_per_s`` has shape (n,); scored is the farthest lead, which is what is planned for.
    ``weights``, shape (n,), say how much an outcome counts.
    """
    paths = np.stack([candidate.paths for candidate in candidates])
    lead = paths.shape[2]
    counts = 1.0 if weights is None else weights / max(float(weights.mean()), 1e-12)
    errors = _errors(rate_per_s, paths[:, :, -1], lead) * counts
    news = _surprised(_errors(rate_per_s, paths[:, :, 0], 1) * counts)
    gains = _gains(errors, lead)
    speaks = gains.clearly & ~news & np.isfinite(paths[:, -1]).all(axis=1)
    share = np.where(speaks, gains.share, np.inf)
    share[0] = 1.0
    choice = int(np.argmin(share))
    return Chosen(model=candidates[choice].model, paths=paths[choice])


@dataclass(frozen=True, slots=True)
class _Gains:
    """Of each candidate, shape (candidates,): its error over the floor's; is it clearly less?"""

    share: Floats
    clearly: NDArray[np.bool_]


def _errors(rate_per_s: Floats, forecasts: Floats, lead: int) -> Floats:
    """Return |error| known at each time, shape (candidates, n): of the forecast ``lead`` ago."""
    errors = np.full(forecasts.shape, np.nan)
    errors[:, lead:] = np.abs(rate_per_s[lead:] - forecasts[:, :-lead])
    return errors


def _gains(errors: Floats, lead: int) -> _Gains:
    """Compare each candidate with the floor at the steps at which it spoke.

    Errors at a lead of several steps overlap, so that not each of them is news.
    """
    known = np.isfinite(errors) & np.isfinite(errors[0])
    own, floor = np.where(known, errors, 0.0), np.where(known, errors[0], 0.0)
    gain = floor - own
    weight = _weights(errors.shape[1], KEEP)
    total = np.maximum(known @ weight, 1e-9)
    mean, usual = gain @ weight / total, floor @ weight / total
    variance = np.maximum(gain**2 @ weight / total - mean**2, 0.0)
    count = total**2 / np.maximum(known @ weight**2, 1e-9) * 2.0 / (lead + 1.0)
    sure = (mean > CLEARLY * np.sqrt(variance / np.maximum(count, 1e-9))) & (mean > WORTH * usual)
    lately = gain @ _weights(errors.shape[1], RECENT_KEEP) >= -LOST * usual
    enough = known.sum(axis=1) >= ENOUGH + lead - 1
    share = 1.0 - mean / np.maximum(usual, 1e-12)
    return _Gains(share, np.asarray(enough & sure & lately))


def _surprised(nexts: Floats) -> NDArray[np.bool_]:
    """Return which candidates missed the present step far more than the steps before it."""
    before = nexts[:, :-1]
    known = np.isfinite(before)
    weight = _weights(before.shape[1], KEEP)
    usual = np.where(known, before, 0.0) @ weight / np.maximum(known @ weight, 1e-9)
    return np.asarray(np.nan_to_num(nexts[:, -1]) > NEWS * usual)


def _weights(size: int, keep: float) -> Floats:
    return np.asarray(keep ** np.arange(size - 1, -1, -1, dtype=np.float64))
