"""Periods told from the data, and forecasts by them: Holt-Winters, and the season of days.

That of days is told from what is kept in bins of a quarter of an hour.
"""

import math
from collections.abc import Sequence

import numpy as np

from dgdr_planner.forecast.demand import AT, BIN_S, RATE, Floats
from dgdr_planner.forecast.smoothing import filled, means

SHORTEST = 4
#: Share of a series' variance that must come back after a period.
LEAST_CORRELATION = 0.35
#: Of two periods whose correlations differ less than this, the shorter one is taken.
ALIKE = 0.9
LEVEL_GAIN, SEASON_GAIN = 0.3, 0.3


def periods(series: Floats) -> tuple[int, ...]:
    """Return up to two periods in steps: the shortest good one, and the best if that is another.

    A period is a peak of the autocorrelation behind its first fall below half the peak's height,
    seen at least twice. The best one matters where the true period is no whole number of steps:
    40 steps are three periods of 13 1/3.
    """
    correlation = autocorrelation(series)
    found = _peaks(correlation)
    if not found:
        return ()
    best = max(found, key=lambda lag: correlation[lag])
    shortest = min(lag for lag in found if correlation[lag] >= ALIKE * correlation[best])
    clearly = correlation[best] > correlation[shortest] + 0.005
    return (shortest, best) if clearly else (shortest,)


def autocorrelation(series: Floats) -> Floats:
    """Return correlations of shape (n // 2 + 1,) of the series without its straight line.

    Pairs with a gap do not count (products by Fourier transform, normalised by known pairs).
    """
    size = series.size
    known = np.isfinite(series)
    if known.sum() < 2 * SHORTEST:
        return np.zeros(size // 2 + 1)
    value, at = series[known], np.flatnonzero(known)
    at, value = at - at.sum() / at.size, value - value.sum() / value.size
    rest = np.zeros(size)
    rest[known] = value - at * ((at @ value) / (at @ at))
    squares = rest**2
    kept = size // 2 + 1
    # Long enough that what wraps around stays behind the lags that are kept.
    length = 1 << (size + kept - 2).bit_length()
    moved, squared, told = np.fft.rfft(np.array([rest, squares, known]), length)
    spectra = np.array([moved * moved.conj(), told * squared.conj(), told * told.conj()])
    products, crossed, pairs = np.fft.irfft(spectra, length)
    before, after = crossed[:kept], crossed[-np.arange(kept)]
    floor = 1e-9 * float(squares.sum()) + 1e-12
    norm = np.sqrt(np.maximum(before, floor) * np.maximum(after, floor))
    return np.where(pairs[:kept] > 2.5, products[:kept] / norm, 0.0)


def _peaks(correlation: Floats) -> list[int]:
    inner = correlation[1:-1]
    is_peak = (inner >= correlation[:-2]) & (inner >= correlation[2:])
    lags = np.flatnonzero(is_peak & (inner > LEAST_CORRELATION)) + 1
    lowest = np.minimum.accumulate(correlation)
    size = 2 * (correlation.size - 1)
    clear = 2.5 / math.sqrt(max(size, 1))
    return [
        int(lag)
        for lag in lags
        if lag >= SHORTEST
        and lowest[lag] < 0.5 * correlation[lag]
        and correlation[lag] - lowest[lag] > clear
    ]


def holt_winters(rate_per_s: Floats, leads: int, period: int) -> Floats:
    """Return forecasts of shape (n, leads) of level plus season (P. R. Winters, 1960).

    Additive, so that zero is a value like others, and without a trend of its own: over the
    minutes of a start-up the season is the trend. NaN within the first period, which only fills
    the season.
    """
    paths = np.full((rate_per_s.size, leads), np.nan)
    first = rate_per_s[:period]
    if rate_per_s.size <= period or not np.isfinite(first).any():
        return paths
    level = float(np.nanmean(first))
    season = np.nan_to_num(first - level).tolist()
    levels = _smooth(rate_per_s[period:].tolist(), level, season, period)
    step = np.arange(period, rate_per_s.size)[:, None]
    lead = np.arange(1, leads + 1)[None, :]
    last_cycle = step + lead - period * -(-lead // period)
    paths[period:] = np.maximum(np.array(levels)[:, None] + np.array(season)[last_cycle], 0.0)
    return paths


def _smooth(seen: Sequence[float], level: float, season: list[float], period: int) -> list[float]:
    """Return the level after each step, and append to ``season`` what each step made of its own."""
    levels = []
    for index, value in enumerate(seen):
        own = season[index]
        if value == value:
            error = value - level - own
            level += LEVEL_GAIN * error
            own += SEASON_GAIN * (1.0 - LEVEL_GAIN) * error
        levels.append(level)
        season.append(own)
    return levels


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
