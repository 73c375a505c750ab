"""Series of requests per window that forecasts are measured on: public traces and synthetic ones.

Synthetic series are Poisson counts of a known rate. Seeds 1 and 2 of ``TUNED`` were looked at while
the forecasters were written. Held out are other seeds of these, and ``NEW_SHAPES``: of them seeds
101 to 203 served once, to choose how clearly a forecaster must be better; the benchmark reports
seeds that served nothing.
"""

import csv
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DATA = Path(__file__).parent / "data"
WINDOWS = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Requests per second of equal windows, shape (windows,); NaN: nobody knows."""

    name: str
    window_s: float
    rate_per_s: Floats


def sine(windows: int, period: float, low: float = 5.0, high: float = 45.0) -> Floats:
    """Return mean rates of rate(t) = middle + half * sin(2 pi t / period - pi / 2), in windows."""
    edge = np.arange(windows + 1) / period
    mean_sine = -np.diff(np.cos(2 * np.pi * edge - np.pi / 2)) * period / (2 * np.pi)
    return np.asarray((low + high) / 2 + (high - low) / 2 * mean_sine)


def steps(rng: np.random.Generator) -> Floats:
    """Levels that hold for a while and then jump."""
    lengths = rng.integers(15, 45, 20)
    return np.asarray(np.repeat(rng.uniform(2, 60, 20), lengths)[:WINDOWS])


def diurnal(rng: np.random.Generator) -> Floats:
    """A day of 80 windows, three times, with a wandering level."""
    wander = np.exp(np.cumsum(rng.normal(0, 0.02, WINDOWS)))
    return np.asarray(wander * sine(WINDOWS, 80.0, 4.0, 40.0))


def ramps(rng: np.random.Generator) -> Floats:
    """Straight lines between random levels."""
    knots = np.arange(0, WINDOWS + 30, 30)
    return np.interp(np.arange(WINDOWS), knots, rng.uniform(3, 60, knots.size))


def spikes(rng: np.random.Generator) -> Floats:
    """A flat load with single windows of three to eight times as much."""
    high = rng.random(WINDOWS) < 0.04
    return np.where(high, 10.0 * rng.uniform(3, 8, WINDOWS), 10.0)


def constant(rng: np.random.Generator) -> Floats:
    """The same mean in every window, but a third of noise beyond Poisson's."""
    return np.asarray(20.0 * rng.gamma(9.0, 1 / 9.0, WINDOWS))


def idle(rng: np.random.Generator) -> Floats:
    """Busy for a while, then nothing at all for a while."""
    busy = np.repeat(np.arange(20) % 2, rng.integers(6, 30, 20))[:WINDOWS]
    return np.asarray(busy * rng.gamma(16.0, 15.0 / 16.0, WINDOWS))


def square(rng: np.random.Generator) -> Floats:
    """A job that comes back every 13 1/3 windows."""
    phase = (np.arange(WINDOWS) / 13.333 + rng.random()) % 1.0
    return np.where(phase < 0.4, 40.0, 8.0)


def sawtooth(rng: np.random.Generator) -> Floats:
    """Slow growth and a sudden fall, every 48 windows, noisy."""
    phase = (np.arange(WINDOWS) / 48 + rng.random()) % 1.0
    return np.asarray((5 + 40 * phase) * rng.gamma(50.0, 1 / 50.0, WINDOWS))


def walk(rng: np.random.Generator) -> Floats:
    """A random walk of the logarithm that comes back to its mean."""
    log = np.zeros(WINDOWS)
    for t in range(1, WINDOWS):
        log[t] = 0.97 * log[t - 1] + rng.normal(0, 0.12)
    return np.asarray(15.0 * np.exp(log))


def bursts(rng: np.random.Generator) -> Floats:
    """Two states that take turns at random, as of one heavy user."""
    state = np.zeros(WINDOWS, dtype=np.int64)
    for t in range(1, WINDOWS):
        stays = rng.random() < (0.94 if state[t - 1] == 0 else 0.8)
        state[t] = state[t - 1] if stays else 1 - state[t - 1]
    return np.where(state == 1, 35.0, 6.0) * rng.gamma(20.0, 1 / 20.0, WINDOWS)


def pareto(rng: np.random.Generator) -> Floats:
    """Independent windows with a heavy tail."""
    return np.asarray(4.0 * (1.0 + rng.pareto(1.8, WINDOWS)))


def growth(rng: np.random.Generator) -> Floats:
    """Two harmonics of a day of 96 windows whose level doubles at once in the middle."""
    t = np.arange(WINDOWS)
    day = 20 + 10 * np.sin(2 * np.pi * t / 96) + 6 * np.sin(4 * np.pi * t / 96 + 1)
    return np.asarray(day * np.where(t > WINDOWS // 2, 2.0, 1.0) * rng.gamma(80, 1 / 80, WINDOWS))


def gaps(rng: np.random.Generator) -> Floats:
    """A slow sine of which one window in seven was not seen, and one hour was lost."""
    rate = sine(WINDOWS, 60.0, 5.0, 30.0)
    rate[rng.random(WINDOWS) < 1 / 7] = np.nan
    rate[120:150] = np.nan
    return rate


TUNED: Mapping[str, Callable[[np.random.Generator], Floats]] = {
    "sine 600 s": lambda _: sine(WINDOWS, 10.0),
    "steps": steps,
    "diurnal": diurnal,
    "ramps": ramps,
    "spikes": spikes,
    "constant": constant,
    "idle": idle,
}
NEW_SHAPES: Mapping[str, Callable[[np.random.Generator], Floats]] = {
    "square": square,
    "sawtooth": sawtooth,
    "walk": walk,
    "bursts": bursts,
    "pareto": pareto,
    "growth": growth,
    "gaps": gaps,
}


def synthetic(
    shapes: Mapping[str, Callable[[np.random.Generator], Floats]],
    seeds: range,
    window_s: float = 60.0,
) -> list[Series]:
    """Return Poisson counts of each shape for each seed."""
    found = []
    for seed in seeds:
        for index, (name, shape) in enumerate(shapes.items()):
            rng = np.random.default_rng([seed, index])
            rate = shape(rng)
            counts = rng.poisson(np.nan_to_num(rate) * window_s) / window_s
            told = np.where(np.isnan(rate), np.nan, counts)
            found.append(Series(name=f"{name} #{seed}", window_s=window_s, rate_per_s=told))
    return found


def traces(window_s: float = 60.0) -> list[Series]:
    """Return the public traces of ``bench/data``, and the sine of upstream's own claim."""
    claimed = np.random.default_rng(1).poisson(sine(30, 10.0) * 60.0) / 60.0
    return [
        Series(name="sine 5-45/s", window_s=60.0, rate_per_s=np.asarray(claimed)),
        _windows("Mooncake synthetic", mooncake_s(), window_s),
        _windows("Azure 2023 code", azure_s(), window_s),
    ]


def mooncake_s() -> Floats:
    """Return arrivals in seconds of the Mooncake trace."""
    with gzip.open(DATA / "mooncake-synthetic.jsonl.gz", "rt") as lines:
        return np.array([json.loads(line)["timestamp"] / 1000 for line in lines])


def azure_s() -> Floats:
    """Return arrivals in seconds of the Azure trace."""
    with gzip.open(DATA / "azure-code-2023.csv.gz", "rt") as lines:
        stamps = [row["TIMESTAMP"][:26] for row in csv.DictReader(lines)]
    at = np.array([datetime.fromisoformat(stamp).timestamp() for stamp in stamps])
    return np.asarray(at - at[0])


def _windows(name: str, at_s: Floats, window_s: float) -> Series:
    """Count arrivals by window; the last, incomplete one is left out."""
    whole = int(at_s.max() // window_s)
    counts = np.bincount((at_s // window_s).astype(np.int64), minlength=whole)[:whole]
    return Series(name=name, window_s=window_s, rate_per_s=counts / window_s)
