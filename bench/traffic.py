"""Generated traffic for replays: three families, each the same for the same seed.

* ``bursty``: many clients of unequal weight, each with arrivals in bursts, rates that drift, and
  lengths of its own. The forms are those that ServeGen found in production (Xiang et al., 2025,
  arXiv:2505.09999, sections 3 to 5): a few clients bring most requests; gaps between arrivals are
  Gamma distributed with a coefficient of variation above 1; prompts are a lognormal body with a
  Pareto tail; answers are exponential. A client's shape is drawn once and holds; its rate changes
  every ten minutes, which is the step of ServeGen's published rates. The numbers are ours.
* ``flash``: a steady Poisson load, and crowds whose rate jumps at once, holds and decays
  exponentially (the shape of Ari et al., 2003, "Managing flash crowds on the Internet").
* ``weekly``: a working day's swing, a second peak in the evening, weekends at a part of the load,
  and days that differ by chance; Poisson within a minute.

Rates are per second, lengths are whole tokens.
"""

import math
from collections.abc import Iterator

import numpy as np

from dgdr_perf.curve_fit import Array
from dgdr_perf.simulator.arrivals import Requests

HOUR_S, DAY_S = 3600.0, 86_400.0
STEP_S = 600.0
CLIENTS = 24
# Weight of the k-th client: k to this power; the first three bring half of the requests.
ZIPF = -1.3
LONGEST = 32_000.0


def lognormal(rng: np.random.Generator, mean: float, sigma: float, count: int) -> Array:
    """Draw lengths with this mean and this deviation of their logarithm."""
    return rng.lognormal(math.log(mean) - sigma**2 / 2.0, sigma, count)


def pareto_cut(
    rng: np.random.Generator, least: float, shape: float, most: float, count: int
) -> Array:
    """Draw from a Pareto distribution above ``least`` that ends at ``most``."""
    kept = 1.0 - (least / most) ** shape
    return np.asarray(least * (1.0 - kept * rng.random(count)) ** (-1.0 / shape))


def tokens(lengths: Array, most: float = LONGEST) -> Array:
    """Return whole numbers of tokens from 1 to the longest that is served."""
    return np.clip(np.rint(lengths), 1.0, most)


def renewals(rng: np.random.Generator, cv: float, edges_s: Array, rates_per_s: Array) -> Array:
    """Draw arrivals whose gaps are Gamma with this variation, at rates that hold between edges.

    A process of rate 1 is stretched in time, so that bursts have a size in requests.
    """
    passed = np.concatenate([[0.0], np.cumsum(rates_per_s * np.diff(edges_s))])
    count = int(passed[-1] + 6.0 * cv * math.sqrt(passed[-1]) + 20.0)
    gaps = rng.gamma(1.0 / cv**2, cv**2, count)
    at = np.cumsum(gaps)
    return np.interp(at[at < passed[-1]], passed, edges_s)


def poisson_at(rng: np.random.Generator, edges_s: Array, rates_per_s: Array) -> Array:
    """Draw Poisson arrivals at rates that hold between edges, in order."""
    widths_s = np.diff(edges_s)
    counts = rng.poisson(rates_per_s * widths_s)
    piece = np.repeat(np.arange(len(counts)), counts)
    return np.sort(edges_s[piece] + rng.random(len(piece)) * widths_s[piece])


def bursty(seed: int, *, rate_per_s: float = 40.0, duration_s: float = HOUR_S) -> Requests:
    """Draw many clients, of which few count."""
    rng = np.random.default_rng(seed)
    edges_s = np.append(np.arange(0.0, duration_s, STEP_S), duration_s)
    weights = np.arange(1.0, CLIENTS + 1.0) ** ZIPF
    parts = [
        _client(rng, edges_s, rate_per_s * weight) for weight in (weights / weights.sum()).tolist()
    ]
    times, isl, osl = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Requests.of(times, isl, osl)


def _client(
    rng: np.random.Generator, edges_s: Array, rate_per_s: float
) -> tuple[Array, Array, Array]:
    steps = rng.normal(0.0, 0.25, len(edges_s) - 1)
    drift = np.zeros(len(steps))
    for step in range(len(steps)):  # an autoregression: rates wander and come back
        drift[step] = 0.8 * drift[max(step - 1, 0)] + steps[step]
    times = renewals(rng, rng.uniform(1.2, 3.0), edges_s, rate_per_s * np.exp(drift))
    body = lognormal(rng, rng.uniform(400.0, 3000.0), 0.8, len(times))
    tail = pareto_cut(rng, 3000.0, 1.2, LONGEST, len(times))
    isl = np.where(rng.random(len(times)) < 0.08, tail, body)
    osl = rng.exponential(rng.uniform(100.0, 500.0), len(times))
    return times, tokens(isl), tokens(osl, 4096.0)


def flash(seed: int, *, rate_per_s: float = 20.0, duration_s: float = HOUR_S) -> Requests:
    """Draw a steady load with a crowd about every 40 minutes, of two to five times of it more."""
    rng = np.random.default_rng(seed)
    edges_s = np.append(np.arange(0.0, duration_s, 1.0), duration_s)
    at_s = edges_s[:-1]
    rates = np.full(len(at_s), rate_per_s)
    begin_s = rng.uniform(900.0, 1500.0)
    while begin_s < duration_s:
        size, holds_s, decay_s = rng.uniform(2.0, 5.0), rng.uniform(60, 240), rng.uniform(120, 400)
        since_s = at_s - begin_s
        shape = np.exp(-np.maximum(since_s - holds_s, 0.0) / decay_s)
        rates += np.where(since_s >= 0.0, rate_per_s * size * shape, 0.0)
        begin_s += rng.uniform(1800.0, 3000.0)
    times = poisson_at(rng, edges_s, rates)
    isl = tokens(lognormal(rng, 2000.0, 0.7, len(times)))
    return Requests.of(times, isl, tokens(lognormal(rng, 250.0, 0.6, len(times)), 4096.0))


def weekly_chunks(
    seed: int, *, rate_per_s: float = 10.0, days: int = 7, isl: float = 1500.0, osl: float = 200.0
) -> Iterator[Requests]:
    """Draw hour by hour: what is not kept needs no memory. ``rate_per_s`` is the mean."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(0.0, HOUR_S, 60.0)
    every = weekly_shape(np.arange(0.0, 7 * DAY_S, 60.0)).mean()
    of_day = 1.0
    for hour in range(24 * days):
        if hour % 24 == 0:
            of_day = float(np.exp(rng.normal(0.0, 0.08)))
        edges_s = hour * HOUR_S + np.append(minutes, HOUR_S)
        rates = rate_per_s * of_day * weekly_shape(edges_s[:-1]) / every
        times = poisson_at(rng, edges_s, rates)
        yield Requests.of(
            times,
            tokens(lognormal(rng, isl, 0.7, len(times))),
            tokens(lognormal(rng, osl, 0.6, len(times)), 4096.0),
        )


def weekly(seed: int, *, rate_per_s: float = 10.0, days: int = 7) -> Requests:
    """Return the same as ``weekly_chunks``, in one piece."""
    return joined(weekly_chunks(seed, rate_per_s=rate_per_s, days=days))


def joined(chunks: Iterator[Requests]) -> Requests:
    """Return chunks in one piece."""
    parts = list(chunks)
    columns = [[getattr(one, name) for one in parts] for name in ("arrival_s", "isl", "osl")]
    return Requests.of(*(np.concatenate(column) for column in columns))


def weekly_shape(at_s: Array) -> Array:
    """Relative rate at these times: Monday to Sunday, lowest at night, peaks at 11 and 20."""
    hour, day = at_s / HOUR_S % 24.0, at_s // DAY_S % 7.0
    noon = np.exp(-(((hour - 11.0) / 3.5) ** 2))
    evening = 0.6 * np.exp(-(((hour - 20.0) / 2.0) ** 2))
    return np.asarray((0.25 + noon + evening) * np.where(day >= 5.0, 0.55, 1.0))
