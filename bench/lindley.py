"""Waiting times by recursion: a second opinion on ``dgdr_perf.queueing``, sharing nothing with it.

Shared queue: Kiefer and Wolfowitz's workload vector, kept as the moments at which engines fall
free. Split: Lindley's ``W' = max(0, W + S - A)`` at one engine, by cumulative sums; an engine of a
random split sees Poisson arrivals, one of ``engines`` served in turn every ``engines``-th arrival.
"""

import heapq

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
WARM_UP = 20  # one in so many requests is dropped


def shared_s(arrivals_s: Array, service_s: Array, engines: int) -> Array:
    """Seconds from arrival to end of service, one shared queue; arrays of shape (requests,)."""
    free = [0.0] * engines
    done = np.empty(len(arrivals_s))
    pairs = zip(arrivals_s.tolist(), service_s.tolist(), strict=True)
    for index, (arrival, service) in enumerate(pairs):
        end = max(heapq.heappop(free), arrival) + service
        heapq.heappush(free, end)
        done[index] = end - arrival
    return done[len(done) // WARM_UP :]


def split_s(gaps_s: Array, service_s: Array) -> Array:
    """Seconds from arrival to end of service at one engine; arrays of shape (requests,)."""
    steps = np.concatenate([[0.0], np.cumsum(service_s[:-1] - gaps_s[1:])])
    waits = steps - np.minimum.accumulate(steps)
    return (waits + service_s)[len(waits) // WARM_UP :]


def latencies_s(
    dispatch: str, rate_per_s: float, service_s: Array, engines: int, seed: int
) -> Array:
    """Times in system of Poisson arrivals with these service times."""
    rng = np.random.default_rng(seed)
    if dispatch == "Shared":
        arrivals_s = np.cumsum(rng.exponential(1.0 / rate_per_s, len(service_s)))
        return shared_s(arrivals_s, service_s, engines)
    if dispatch == "Random":
        return split_s(rng.exponential(engines / rate_per_s, len(service_s)), service_s)
    return split_s(rng.gamma(engines, 1.0 / rate_per_s, len(service_s)), service_s)
