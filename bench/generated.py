"""Traffic of three kinds that no trace at hand has, drawn with published shapes and fixed seeds.

Lengths are lognormal, cut at what a model takes. Spreads are of the order that ServeGen (Alibaba,
2025) publishes for chat and for reasoning: prompts vary by more than their mean, and the answers of
a reasoning model are long and unequal. Arrivals are Poisson.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from dgdr_perf.simulator.arrivals import Array, Requests, poisson


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens with a mean before they are cut, and the deviation of their logarithm."""

    mean: float
    spread: float
    most: float

    def drawn(self, rng: np.random.Generator, count: int) -> Array:
        centre = np.log(self.mean) - self.spread**2 / 2
        return np.clip(np.rint(rng.lognormal(centre, self.spread, count)), 1.0, self.most)


CHAT = Lengths(mean=1200, spread=1.2, most=16_000), Lengths(mean=300, spread=1.0, most=4_000)
REASONING = Lengths(mean=900, spread=1.3, most=16_000), Lengths(mean=1800, spread=1.1, most=16_000)
CODE = Lengths(mean=2500, spread=0.8, most=12_000), Lengths(mean=60, spread=0.9, most=1_000)


def drawn(
    seed: int,
    rate_per_s: Callable[[Array], Array],
    peak_per_s: float,
    duration_s: float,
    lengths: tuple[Lengths, Lengths],
) -> Requests:
    rng = np.random.default_rng(seed)
    times = poisson(rng, rate_per_s, duration_s, peak_per_s=peak_per_s).arrival_s
    return Requests.of(times, *(one.drawn(rng, times.size) for one in lengths))


def diurnal_chat() -> Requests:
    """A day in an hour: a slow swell with a smaller one upon it."""

    def rate_per_s(at_s: Array) -> Array:
        day, lunch = at_s / 3600.0, at_s / 900.0
        return 30.0 - 20.0 * np.cos(2 * np.pi * day) + 5.0 * np.sin(2 * np.pi * lunch)

    return drawn(11, rate_per_s, 55.0, 3600.0, CHAT)


def reasoning() -> Requests:
    """An hour of long answers whose rate doubles and halves."""

    def rate_per_s(at_s: Array) -> Array:
        return 15.0 - 7.0 * np.cos(2 * np.pi * at_s / 2400.0)

    return drawn(12, rate_per_s, 22.0, 3600.0, REASONING)


def flash_crowd() -> Requests:
    """Quiet, then six times as much within two minutes, and back within a quarter of an hour."""

    def rate_per_s(at_s: Array) -> Array:
        shape = np.interp(at_s, [0, 1200, 1320, 1620, 2520, 3600], [0, 0, 1, 1, 0, 0])
        return 10.0 + 50.0 * shape

    return drawn(13, rate_per_s, 60.0, 3600.0, CHAT)


def steps() -> Requests:
    """A load that doubles, halves and stops for three minutes."""

    def rate_per_s(at_s: Array) -> Array:
        return np.select(
            [at_s < 900, at_s < 1800, at_s < 2400, at_s < 2580], [12.0, 25.0, 12.0, 0.0], 12.0
        )

    return drawn(14, rate_per_s, 25.0, 3300.0, CODE)
