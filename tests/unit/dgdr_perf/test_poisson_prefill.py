"""Acceptance 3 in short: ``python -m bench.poisson_prefill`` tries every rate and more requests."""

import math

import numpy as np
import pytest

from bench.lindley import latencies_s, shared_s, split_s
from bench.poisson_prefill import MIXTURES, Traffic
from dgdr_perf.queueing import Dispatch

RATES = (6.0, 17.0, 33.0, 58.0, 100.0)
REQUESTS = 25_000
# What 25,000 requests leave open of a 95th percentile in a busy queue.
NOISE = 1.05
TARGET_S = 0.2


def p95_s(dispatch: Dispatch, rate: float, traffic: Traffic, engines: int) -> float:
    if engines <= rate * traffic.service_s.mean():
        return math.inf
    times_s = latencies_s(dispatch, rate, traffic.service_s, engines, seed=5)
    return float(np.quantile(times_s, 0.95))


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("dispatch", Dispatch)
def test_the_percentile_holds_with_at_most_one_too_many(dispatch: Dispatch, mixture: str) -> None:
    traffic = Traffic.of(MIXTURES[mixture], REQUESTS, seed=3)
    late, over = [], []
    for rate in RATES:
        replicas = traffic.sized(dispatch, rate, told=True)
        if p95_s(dispatch, rate, traffic, replicas) > TARGET_S * NOISE:
            late.append((rate, replicas))
        if replicas > 2 and p95_s(dispatch, rate, traffic, replicas - 2) < TARGET_S / NOISE:
            over.append((rate, replicas))
    assert (late, over) == ([], [])


def test_the_recursions_know_a_queue_by_heart() -> None:
    arrivals = np.array([0.0, 1.0, 2.0, 2.5])
    service = np.array([3.0, 3.0, 1.0, 1.0])
    # Two engines: free at 3 and 4 when the third and fourth come.
    assert shared_s(arrivals, service, 2).tolist() == [3.0, 3.0, 2.0, 2.5]
    assert split_s(np.diff(arrivals, prepend=0.0), service).tolist() == [3.0, 5.0, 5.0, 5.5]
