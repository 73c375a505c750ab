"""Which rate to plan for: what was seen, until a forecaster has proved that it needs less.

A static number of replicas for the quantile of what was seen is the plan that nobody has to trust
(the newsvendor's: K. J. Arrow, T. Harris, J. Marschak, Econometrica 19, 1951). It knows no load
above those that it saw, so that the newest one, and a rise that is more than counting noise, are
planned for as well. A forecaster speaks only when planning its quantile would have lost clearly
less, by pinball loss, on the same past: bursts that nobody can foresee end in a static plan, and a
season that was learned is followed up and down.

What is planned for beyond what comes and what is expected is memory: of loads that were seen, and
of rises that were missed. Memory says what to keep. Of a load that rose once it buys nothing while
that is calm: the few windows of one crowd are just above, or just below, the share that may be
missed, and would be bought for each time that they come back above it. What came twice may again.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from dgdr_planner.forecast.conformal import COMPARED_AT, LOOKED_AT, upper
from dgdr_planner.forecast.demand import Floats
from dgdr_planner.forecast.ramp import Ramp, ramp
from dgdr_planner.forecast.selection import Candidate
from dgdr_planner.forecast.smoothing import RISE, fading

#: What was seen, and what was lost, forget with a half-life of 35 and 23 windows.
SEEN_KEEP, LOSS_KEEP = 0.98, 0.97
#: What is clearly above this quantile of the windows before is news.
NEWS_ABOVE = 0.9
#: Fewest outcomes of a forecaster; standard errors, and share of the loss, that it must save.
ENOUGH, CLEARLY, WORTH = 5, 0.5, 0.05
#: Powers of the forecast that errors may grow with: none, in proportion.
POWERS = (0.0, 1.0)
#: No plan is above what was seen by more, unless a forecaster or a ramp expects it.
BEYOND = 1.15
#: Newest windows in which nothing has risen where a load is calm, and standard errors of a count
#: from which one of them is above one before: of a steady load once in some ten hours by chance.
CALM, RISEN = 10, 4.0
#: Rises within LOOKED_AT windows that are no reason yet to buy for the next one.
ONCE = 1
#: Who plans where a ramp goes on that nobody else foresaw.
RAMP = "DampedTrend"
#: Who has seen falls end before.
SEASON = "HoltWinters"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """Rates per second to grow to, and not to shrink below; ``model`` is None for what was seen.

    ``is_calm``: nothing has risen lately, nor is expected to, and no more than once before. What
    is held above is memory then.
    """

    grow: float
    hold: float
    model: str | None = None
    is_calm: bool = False


def planned(
    rate_per_s: Floats,
    candidates: Sequence[Candidate],
    rise: Floats,
    quantile: float,
    step_s: float,
) -> Planned:
    """Return what to plan for at the farthest lead of the candidates.

    ``rate_per_s`` has shape (n,), NaN where unknown but for the newest; ``rise`` is what the newest
    two windows alone would say, shape (n, leads).
    """
    speakers = [*candidates, Candidate(model="DampedTrend", paths=rise)]
    leads, line = rise.shape[1], ramp(rate_per_s, step_s)
    choice = _proven(rate_per_s, np.array([one.paths[:, -1] for one in speakers]), leads)
    if choice is None:
        seen = as_seen(rate_per_s, float(rise[-1, -1]), quantile, step_s)
        found = _calmed(Planned(grow=seen, hold=seen), rate_per_s, 0.0, quantile, step_s)
        return found if line is None else _at_least(found, line, leads, quantile)
    who = speakers[choice]
    expected = float(who.paths[-1].max())
    found = followed(rate_per_s, who, quantile, step_s)
    found = _calmed(found, rate_per_s, expected, quantile, step_s)
    if line is None:
        return found
    is_news = line.surprises(rate_per_s, who.paths[:, -1], leads)
    if line.slope_per_s < 0.0:
        # Trends and means are late at the end of a fall; a season knows where it ends.
        knows = who.model == SEASON and not is_news
        return found if knows else _at_most(found, line.stands_at(quantile))
    return _at_least(found, line, leads, quantile) if is_news else found


def _calmed(
    found: Planned, rate_per_s: Floats, expected: float, quantile: float, step_s: float
) -> Planned:
    """Return a plan that, where the load is calm, grows to what comes now and no further.

    Where a window is not known nobody can say that nothing has risen.
    """
    lately = rate_per_s[-CALM:]
    if lately.size < CALM or not np.isfinite(lately).all():
        return found
    comes = max(float(lately[-1]), expected, 1.0 / step_s)
    each = np.append(lately, comes)
    rises_now = _is_clear(each, np.minimum.accumulate(each), step_s).any()
    if rises_now or _times_risen(rate_per_s[-LOOKED_AT:], step_s) > ONCE:
        return found
    enough = comes + NormalDist().inv_cdf(quantile) * math.sqrt(comes / step_s)
    return replace(found, grow=min(found.grow, enough), is_calm=True)


def _times_risen(seen: Floats, step_s: float) -> int:
    """Return how often a load rose; rises that are no more than CALM windows apart are one."""
    if seen.size <= CALM:
        return 0
    views = np.lib.stride_tricks.sliding_window_view(seen, CALM + 1)
    lowest = np.fmin.reduce(views[:, :-1], axis=1)
    risen = np.flatnonzero(_is_clear(views[:, -1], lowest, step_s))
    return 1 + int((np.diff(risen) > CALM).sum()) if risen.size else 0


def _is_clear(high: Floats, low: Floats, step_s: float) -> NDArray[np.bool_]:
    """Return where a rate is above another one by more than counting explains."""
    return np.asarray(high - low > RISEN * np.sqrt((high + low) / step_s))


def _at_least(found: Planned, line: Ramp, leads: int, quantile: float) -> Planned:
    """Return a plan that is no less than where a rise goes on to."""
    goes_to = line.goes_to(leads, quantile) if line.slope_per_s > 0.0 else 0.0
    if goes_to <= found.grow:
        return found
    return Planned(grow=goes_to, hold=max(found.hold, goes_to), model=RAMP)


def _at_most(found: Planned, now_per_s: float) -> Planned:
    """Return a plan of no more than comes now: errors that rises made are none of a fall."""
    grow = min(found.grow, now_per_s)
    return replace(found, grow=grow, hold=max(grow, min(found.hold, now_per_s)))


def followed(rate_per_s: Floats, who: Candidate, quantile: float, step_s: float) -> Planned:
    """Return what to plan for when this forecaster is believed, whatever it lost."""
    path = who.paths
    leads = path.shape[1]
    grow = _bounded(rate_per_s, path, quantile, leads, step_s)
    # The last of the highest: what is said of a later step is known less well.
    highest = leads - int(np.argmax(path[-1][::-1]))
    hold = grow if highest == leads else _bounded(rate_per_s, path, quantile, highest, step_s)
    return Planned(grow=grow, hold=max(grow, hold), model=who.model)


def as_seen(rate_per_s: Floats, risen: float, quantile: float, step_s: float) -> float:
    """Return the quantile of what was seen; the newest rate, or its rise, where clearly above it.

    Of a rate that was counted once its own quantile is planned for.
    """
    newest, before = float(rate_per_s[-1]), rate_per_s[-LOOKED_AT:-1]
    count_error = math.sqrt(newest / step_s)
    usual = _usual(rate_per_s, quantile)
    if np.isfinite(before).any():
        if newest - RISE * count_error <= _usual(before, NEWS_ABOVE):
            return usual
        highest = float(np.fmax.reduce(before))
        risen = risen if newest > highest else min(risen, BEYOND * highest)
    return max(usual, newest + NormalDist().inv_cdf(quantile) * count_error, risen)


def _usual(rate_per_s: Floats, quantile: float) -> float:
    """Return the quantile of what was seen; of n windows as of n + 1, the last of them unseen."""
    seen = rate_per_s[-LOOKED_AT:]
    known = np.isfinite(seen)
    weights = fading(seen.size, SEEN_KEEP)[known]
    level = min(quantile * (1.0 + 1.0 / float(weights.sum())), 1.0)
    return float(weighted_quantiles(seen[known][None], weights[None], level)[0])


def _bounded(rate_per_s: Floats, path: Floats, quantile: float, lead: int, step_s: float) -> float:
    """Return the upper quantile of a forecast, not far above all that was ever seen or is said."""
    seen, said = rate_per_s[lead:], path[:-lead, lead - 1]
    whole = np.isfinite(seen) & np.isfinite(said)
    now = float(path[-1, lead - 1])
    highest = float(np.fmax.reduce(rate_per_s[-LOOKED_AT:]))
    return min(
        upper(seen[whole], said[whole], now, quantile, lead, step_s), max(BEYOND * highest, now)
    )


def _proven(rate_per_s: Floats, forecasts: Floats, lead: int) -> int | None:
    """Return who lost clearly less than what was seen, and least; None where nobody did.

    ``forecasts`` has shape (candidates, n). Each is planned with the one width that would have been
    best for it, as is what was seen, in each of the scales that errors may have.
    """
    seen = rate_per_s[lead:][-LOOKED_AT:]
    if seen.size < ENOUGH:
        return None
    said = forecasts[:, :-lead][:, -LOOKED_AT:]
    known = np.isfinite(said - seen)
    count = known.sum(axis=1)
    weights = np.where(known, fading(seen.size, LOSS_KEEP), 0.0)
    told, seen = np.where(known, said, 0.0), np.where(np.isfinite(seen), seen, 0.0)
    usual = _losses(seen[None], np.ones((1, seen.size)), weights)
    own = _losses(seen - told, _scales(told, count), weights)
    share = _shares(usual, own, weights, lead).min(axis=0)
    share = np.where((count >= ENOUGH) & np.isfinite(forecasts[:, -1]), share, np.inf)
    choice = int(np.argmin(share))
    return choice if math.isfinite(share[choice]) else None


def _scales(told: Floats, count: NDArray[np.intp]) -> Floats:
    """Return what errors may grow with, shape (powers, candidates, n)."""
    mean = told.sum(axis=1) / np.maximum(count, 1)
    base = np.maximum(told, np.maximum(0.5 * mean, 1e-9)[:, None])
    return np.array([base**power for power in POWERS])


def _losses(errors: Floats, scale: Floats, weights: Floats) -> Floats:
    """Return pinball losses, shape (..., candidates, n), of forecasts with their best width.

    What has no weight may be any number.
    """
    width = weighted_quantiles(errors / scale, weights, COMPARED_AT)
    rest = errors - width[..., None] * scale
    return np.maximum(COMPARED_AT * rest, (COMPARED_AT - 1.0) * rest)


def _shares(usual: Floats, own: Floats, weights: Floats, lead: int) -> Floats:
    """Return the losses over the usual ones, shape (..., candidates); inf where not clearly less.

    Errors at a lead of several steps overlap, so that not each of them is news.
    """
    total = np.maximum(weights.sum(axis=1), 1e-12)
    gain, floor = usual - own, (usual * weights).sum(axis=1) / total
    mean = (gain * weights).sum(axis=-1) / total
    variance = np.maximum((gain**2 * weights).sum(axis=-1) / total - mean**2, 0.0)
    count = total**2 / np.maximum((weights**2).sum(axis=1), 1e-12) * 2.0 / (lead + 1.0)
    sure = (mean > CLEARLY * np.sqrt(variance / np.maximum(count, 1e-9))) & (mean > WORTH * floor)
    return np.where(sure, 1.0 - mean / np.maximum(floor, 1e-12), np.inf)


def weighted_quantiles(values: Floats, weights: Floats, level: float) -> Floats:
    """Return the least of ``values`` that ``level`` of the weight along the last axis is not above.

    ``weights`` has shape (rows, n), ``values`` (..., rows, n) or, the same for all, (1, n).
    """
    order = np.argsort(values, axis=-1)
    reached = weights.take(order + _starts(weights)[:, None]).cumsum(axis=-1)
    place = (reached < level * reached[..., -1:] - 1e-12).sum(axis=-1)
    place = np.minimum(place, values.shape[-1] - 1)
    nearest = order.take(_starts(values) + place)
    return np.asarray(values.take(_starts(values) + nearest))


def _starts(rows: Floats) -> NDArray[np.intp]:
    """Return where each row of n begins among all numbers, shape (...) of (..., n)."""
    return np.arange(0, rows.size, rows.shape[-1]).reshape(rows.shape[:-1])
