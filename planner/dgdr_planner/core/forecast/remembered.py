"""The season of days, told from what is remembered in bins of a quarter of an hour."""

import numpy as np

from dgdr_planner.core.forecast.demand import AT, BIN_S, RATE, Floats
from dgdr_planner.core.forecast.discounted import filled
from dgdr_planner.core.forecast.seasonal import periods
from dgdr_planner.core.forecast.trend import means

#: Discount of the level over the season per step, and of a cycle of the season per cycle.
LEVEL_KEEP, CYCLE_KEEP = 0.7, 0.7


def remembered_season(older: Floats, at_s: Floats, rate_per_s: Floats, leads: int) -> list[Floats]:
    """Return forecasts of shape (n, leads) by each period of the bins; none where there is none.

    ``older`` has shape (bins, 5) and ends before ``at_s``, shape (n,), begins, so that a season
    is always older than the steps that it is judged on. The level of the newest steps moves along
    the season: level + season(t + lead).
    """
    bins = _on_bins(older)
    if bins.size < 2:
        return []
    step_s = at_s[1] - at_s[0] if at_s.size > 1 else BIN_S
    ahead_s = at_s[:, None] + step_s * np.arange(leads + 1)[None, :]
    end_s = float(np.ceil(older[-1, AT] / BIN_S)) * BIN_S
    found = []
    for period in periods(bins):
        season = _season(bins, period)
        phase = (ahead_s - 0.5 * step_s - end_s) / BIN_S - 0.5
        seasonal = np.interp(phase % period, np.arange(period + 1), np.append(season, season[0]))
        rest = means(rate_per_s - seasonal[:, 0], np.ones(at_s.size), leads, LEVEL_KEEP)
        found.append(np.asarray(np.maximum(rest + seasonal[:, 1:], 0.0)))
    return found


def _on_bins(older: Floats) -> Floats:
    """Return rates of shape (bins,) without holes in time: a bin that is missing is NaN."""
    if not len(older):
        return np.empty(0)
    place = np.ceil(older[:, AT] / BIN_S).astype(np.int64)
    bins = np.full(int(place[-1] - place[0]) + 1, np.nan)
    bins[place - place[0]] = older[:, RATE]
    return bins


def _season(bins: Floats, period: int) -> Floats:
    """Return the mean cycle, shape (period,); its first bin follows the newest one of ``bins``."""
    cycles = -(-bins.size // period)
    whole = np.concatenate([np.full(cycles * period - bins.size, np.nan), bins])
    table = whole.reshape(cycles, period)
    weight = CYCLE_KEEP ** np.arange(cycles - 1, -1, -1)[:, None] * np.isfinite(table)
    total = np.sum(np.where(np.isfinite(table), table, 0.0) * weight, axis=0)
    known = weight.sum(axis=0)
    mean = np.divide(total, known, out=np.full(period, np.nan), where=known > 0)
    return filled(np.tile(mean, 2))[period:]
