"""Which forecaster speaks: the last value, until another one was clearly better.

Candidates know at each step only what came before it, so that their errors are those that they
would have made, and the whole selection can be told again from the history alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgdr_planner.forecast.demand import Floats
from dgdr_planner.forecast.smoothing import fading

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


def select(rate_per_s: Floats, candidates: Sequence[Candidate]) -> Chosen:
    """Choose who speaks now; the first candidate is the floor.

    ``rate_per_s`` has shape (n,); scored is the farthest lead, which is what is planned for.
    """
    paths = np.array([candidate.paths for candidate in candidates])
    choice = _speaker(rate_per_s, paths)
    return Chosen(model=candidates[choice].model, paths=paths[choice])


def _speaker(seen: Floats, paths: Floats) -> int:
    """Return which candidate speaks now; ``paths`` has shape (candidates, n, leads)."""
    lead = paths.shape[-1]
    errors, nexts = _errors(seen, paths[..., -1], lead), _errors(seen, paths[..., 0], 1)
    gains = _gains(errors, lead)
    speaks = gains.clearly & ~_surprised(nexts) & np.isfinite(paths[..., -1, :]).all(axis=-1)
    share = np.where(speaks, gains.share, np.inf)
    share[0] = 1.0
    return int(share.argmin())


@dataclass(frozen=True, slots=True)
class _Gains:
    """Of each candidate, shape (candidates,): error over the floor's; is it clearly less?"""

    share: Floats
    clearly: NDArray[np.bool_]


def _errors(seen: Floats, forecasts: Floats, lead: int) -> Floats:
    """Return |error| known at each time, shape as ``forecasts``: of the forecast ``lead`` ago."""
    errors = np.full(forecasts.shape, np.nan)
    errors[:, lead:] = np.abs(seen[None, lead:] - forecasts[:, :-lead])
    return errors


def _gains(errors: Floats, lead: int) -> _Gains:
    """Compare each candidate with the floor at the steps at which it spoke.

    Errors at a lead of several steps overlap, so that not each of them is news.
    """
    first = errors[:1]
    gain = first - errors
    known = np.isfinite(gain)
    gain, floor = np.where(known, gain, 0.0), np.where(known, first, 0.0)
    weight = fading(errors.shape[-1], KEEP)
    total = np.maximum(known @ weight, 1e-9)
    mean, usual = gain @ weight / total, floor @ weight / total
    variance = np.maximum(gain**2 @ weight / total - mean**2, 0.0)
    count = total**2 / np.maximum(known @ weight**2, 1e-9) * 2.0 / (lead + 1.0)
    sure = (mean > CLEARLY * np.sqrt(variance / np.maximum(count, 1e-9))) & (mean > WORTH * usual)
    lately = gain @ fading(errors.shape[-1], RECENT_KEEP) >= -LOST * usual
    enough = known.sum(axis=-1) >= ENOUGH + lead - 1
    share = 1.0 - mean / np.maximum(usual, 1e-12)
    return _Gains(share, np.asarray(enough & sure & lately))


def _surprised(nexts: Floats) -> NDArray[np.bool_]:
    """Return which candidates missed the present step far more than the steps before it."""
    before = nexts[:, :-1]
    known = np.isfinite(before)
    weight = fading(before.shape[-1], KEEP)
    usual = np.where(known, before, 0.0) @ weight / np.maximum(known @ weight, 1e-9)
    return np.asarray(nexts[:, -1] > NEWS * usual)
