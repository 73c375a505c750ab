"""Prefill sizing against simulated queues: Poisson arrivals at 1 to 100 requests per second.

Llama-3.1-8B-FP8 on H200, TTFT target 200 ms at p95. For each dispatch and mixture of prompts:
``late`` counts the rates at which the sized replicas break the target in the recursion of
``bench.lindley``, ``over`` those with more than one replica above the smallest number that works;
``told_mean_only`` has the same for a planner that knows the mean length alone. ``throughput_late``
counts, for comparison, the rates at which replicas for the throughput alone break the target.

``python -m bench.poisson_prefill [STEP]`` tries every STEP-th rate; the default is each.
"""

import json
import math
import sys
from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np

from bench.lindley import Array, latencies_s
from bench.reference import reference_data, reference_engine
from dgdr_perf.queueing import Dispatch
from dgdr_perf.sizing import Percentile, Targets, Workload, size_prefill

TARGETS = Targets(ttft_ms=200.0, itl_ms=10.0, percentile=Percentile.P95)
SHARE = 0.95
REQUESTS = 120_000
Quantiles = tuple[tuple[float, float], ...]
MIXTURES: dict[str, Quantiles] = {
    "3000": ((1.0, 3000.0),),
    "1500 or 7500": ((0.75, 1500.0), (0.75, 7500.0), (1.0, 7500.0)),
    "500 to 9000": ((0.0, 500.0), (0.5, 2000.0), (0.9, 6000.0), (1.0, 9000.0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Prompts of one mixture: their mean, and drawn service times of shape (requests,).

    Times are read between the measured points of the profile, without our model of it.
    """

    quantiles: Quantiles
    isl: float
    service_s: Array

    @classmethod
    def of(cls, quantiles: Quantiles, requests: int, seed: int) -> "Traffic":
        shares = np.array([0.0, *(share for share, _ in quantiles)])
        lengths = np.array([quantiles[0][1], *(isl for _, isl in quantiles)])
        steps = shares + np.arange(len(shares)) * 1e-12
        isl = np.interp(np.random.default_rng(seed).random(requests), steps, lengths)
        data, _ = reference_data()
        service_s = np.interp(isl, data.isl, data.ttft_ms) / 1000.0
        mean = float(np.diff(shares) @ (lengths[1:] + lengths[:-1]) / 2.0)
        return cls(quantiles=quantiles, isl=mean, service_s=service_s)

    def sized(self, dispatch: Dispatch, rate_per_s: float, told: bool) -> int:
        """Replicas by us; ``told``: the distribution of the lengths is known."""
        load = Workload(
            rate_per_s=rate_per_s,
            isl=self.isl,
            osl=300.0,
            isl_quantiles=self.quantiles if told else None,
        )
        return size_prefill(reference_engine(), load, TARGETS, dispatch).replicas


@dataclass(frozen=True, slots=True)
class Queue:
    """One dispatch and rate in the recursion; numbers of engines are tried once."""

    dispatch: Dispatch
    rate_per_s: float
    service_s: Array

    def is_late(self, engines: int) -> bool:
        if engines <= self.rate_per_s * float(self.service_s.mean()):
            return True
        seed = round(self.rate_per_s)
        times_s = latencies_s(self.dispatch, self.rate_per_s, self.service_s, engines, seed)
        return float(np.quantile(times_s, SHARE)) * 1000.0 > TARGETS.ttft_ms


def swept(dispatch: Dispatch, traffic: Traffic, rates: list[float]) -> dict[str, object]:
    """Count the rates at which the target breaks, or replicas are wasted."""
    counts = {"late": 0, "over": 0, "mean_late": 0, "mean_over": 0, "throughput_late": 0}
    for rate in rates:
        queue = Queue(dispatch, rate, traffic.service_s)
        is_late = cache(queue.is_late)
        smallest = next(engines for engines in count(1) if not is_late(engines))
        for prefix, told in (("", True), ("mean_", False)):
            replicas = traffic.sized(dispatch, rate, told)
            counts[f"{prefix}late"] += is_late(replicas)
            counts[f"{prefix}over"] += replicas > smallest + 1
        busy = rate * float(traffic.service_s.mean())
        counts["throughput_late"] += is_late(math.ceil(busy))
    return {
        "late": counts["late"],
        "over": counts["over"],
        "told_mean_only": {"late": counts["mean_late"], "over": counts["mean_over"]},
        "throughput_late": counts["throughput_late"],
    }


def main(step: int = 1) -> None:
    """Try all dispatches and mixtures; print JSON."""
    rates = [float(rate) for rate in range(1, 101, step)]
    results: dict[str, dict[str, object]] = {}
    for name, quantiles in MIXTURES.items():
        traffic = Traffic.of(quantiles, REQUESTS, seed=7)
        for dispatch in Dispatch:
            results.setdefault(name, {})[dispatch.value] = swept(dispatch, traffic, rates)
    print(json.dumps({"bench": "poisson_prefill", "rates": len(rates), "isl": results}))


if __name__ == "__main__":
    main(*(int(step) for step in sys.argv[1:2]))
