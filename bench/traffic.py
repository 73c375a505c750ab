"""Generated traffic for replays: each kind the same for the same seed.

Families, of which a seed draws one:

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

Shapes that hold still, with Poisson arrivals: ``chat_day``, a day in an hour; ``reasoning``, long
and unequal answers; ``flash_crowd``, six times as much within two minutes; ``steps``. Their lengths
are lognormal, with spreads of the order that ServeGen publishes for chat and for reasoning.

Rates are per second, lengths are whole tokens.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from dgdr_perf.curve_fit import Array
from dgdr_perf.simulator.arrivals import Requests, poisson

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Lognormal tokens: their mean before they are cut, and the deviation of their logarithm."""

    mean: float
    sigma: float
    most: float

    def drawn(self, rng: np.random.Generator, count: int) -> Array:
        return tokens(lognormal(rng, self.mean, self.sigma, count), self.most)


CHAT = Lengths(mean=1200, sigma=1.2, most=16_000), Lengths(mean=300, sigma=1.0, most=4_000)
REASONING = Lengths(mean=900, sigma=1.3, most=16_000), Lengths(mean=1800, sigma=1.1, most=16_000)
CODE = Lengths(mean=2500, sigma=0.8, most=12_000), Lengths(mean=60, sigma=0.9, most=1_000)


def shaped(
    seed: int,
    rate_per_s: Callable[[Array], Array],
    peak_per_s: float,
    duration_s: float,
    lengths: tuple[Lengths, Lengths],
) -> Requests:
    """Draw Poisson arrivals of this shape."""
    rng = np.random.default_rng(seed)
    times = poisson(rng, rate_per_s, duration_s, peak_per_s=peak_per_s).arrival_s
    return Requests.of(times, *(one.drawn(rng, times.size) for one in lengths))


def chat_day(seed: int = 11) -> Requests:
    """Draw a day in an hour: a slow swell with a smaller one upon it."""

    def rate_per_s(at_s: Array) -> Array:
        day, lunch = at_s / HOUR_S, at_s / 900.0
        return 30.0 - 20.0 * np.cos(2 * np.pi * day) + 5.0 * np.sin(2 * np.pi * lunch)

    return shaped(seed, rate_per_s, 55.0, HOUR_S, CHAT)


def reasoning(seed: int = 12) -> Requests:
    """Draw an hour of long answers whose rate doubles and halves."""

    def rate_per_s(at_s: Array) -> Array:
        return 15.0 - 7.0 * np.cos(2 * np.pi * at_s / 2400.0)

    return shaped(seed, rate_per_s, 22.0, HOUR_S, REASONING)


def flash_crowd(seed: int = 13) -> Requests:
    """Draw quiet, then six times as much within two minutes, and back within 15 minutes."""

    def rate_per_s(at_s: Array) -> Array:
        shape = np.interp(at_s, [0, 1200, 1320, 1620, 2520, 3600], [0, 0, 1, 1, 0, 0])
        return 10.0 + 50.0 * shape

    return shaped(seed, rate_per_s, 60.0, HOUR_S, CHAT)


def steps(seed: int = 14) -> Requests:
    """Draw a load that doubles, halves and stops for three minutes."""

    def rate_per_s(at_s: Array) -> Array:
        return np.select(
            [at_s < 900, at_s < 1800, at_s < 2400, at_s < 2580], [12.0, 25.0, 12.0, 0.0], 12.0
        )

    return shaped(seed, rate_per_s, 25.0, 3300.0, CODE)
