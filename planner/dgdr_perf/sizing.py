"""How many replicas a load needs so that its latency targets hold.

Prefill: an engine serves one prompt at a time for the time of the prefill curve, so replicas are
the servers of a queue (``queueing``): the fewest for which the mean, or the asked percentile, of
wait plus service stays within the TTFT target. Batching several prompts in one step saves only
the fixed part of the curve and is not counted on.

Decode: a request that arrives sees the others of its replica and itself in every step. By
Little's law a replica holds ``n = rate * osl * itl(n + 1)`` requests; the number is Poisson
distributed around its mean, because requests do not wait for each other (M/G/inf, insensitive to
the distribution of lengths). A replica is full when ``n + 1 + z * sqrt(n)`` requests, z from the
percentile, would break the ITL target or overflow the KV cache.

Each answer says what bound it, whether it was read where somebody measured, and whether the
target can be reached at all: more replicas cannot make a lone request faster. The number never
falls when the load, the lengths or the strictness of a target rise.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

import numpy as np

from dgdr_perf.curve_fit import Array
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.queueing import Dispatch, Wait, waits

# Beyond any cluster; stops the search on absurd input.
MOST_REPLICAS = 10_000
# A wait below a tenth of the service time is not worth another replica: keeps the answer finite
# where the target is at or below the service time itself.
LEAST_SLACK = 0.1
# The same for decode: requests besides the own one that a replica is always trusted to hold.
LEAST_OTHERS = 0.25
# Margin of the KV cache against running requests out of it, which would preempt them. At least
# this percentile, whatever the SLA asks.
KV_SHARE = 0.95
# Batches at which decode is evaluated: fixed, so that answers for different loads are comparable.
BATCHES: Array = np.geomspace(1.0, 1e5, 500)


class Percentile(StrEnum):
    """Which requests the targets speak about."""

    MEAN = "mean"
    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"

    @property
    def share(self) -> float | None:
        """Share of the requests that must be within the target; None for the mean."""
        return None if self is Percentile.MEAN else int(self.value[1:]) / 100

    @property
    def deviations(self) -> float:
        """Standard deviations above the mean, for a sum of many independent parts."""
        return 0.0 if self.share is None else NormalDist().inv_cdf(self.share)


class Binding(StrEnum):
    """What the number of replicas is due to."""

    FLOOR = "floor"
    """One replica is more than enough."""
    THROUGHPUT = "throughput"
    """With fewer the queue would grow without end."""
    TTFT = "ttft"
    ITL = "itl"
    KV = "kv"
    """Room for the KV cache of the requests in flight."""
    LIMIT = "limit"
    """No number up to ``MOST_REPLICAS`` would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Requests as they come. ``service_cv2``: squared variation of the prefill times.

    Its default lies between equal prompts (0) and exponentially distributed ones (1), as long as
    no distribution is observed.
    """

    rate_per_s: float
    isl: float
    osl: float
    service_cv2: float = 0.25

    @property
    def context_tokens(self) -> float:
        """Mean context of a request while it is decoded."""
        return self.isl + self.osl / 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Latency targets of one request."""

    ttft_ms: float
    itl_ms: float
    percentile: Percentile = Percentile.MEAN


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Replicas of one role, and why.

    ``busy`` is the load in replicas at full use. ``latency_ms`` is expected with ``replicas``, at
    the percentile of the targets; ``alone_ms`` that of a request without any other.
    """

    replicas: int
    busy: float
    latency_ms: float
    alone_ms: float
    in_range: bool
    reachable: bool
    binding: Binding


def size_prefill(
    profile: EngineProfile,
    load: Workload,
    targets: Targets,
    dispatch: Dispatch = Dispatch.ROUND_ROBIN,
) -> Answer:
    """Choose the fewest prefill replicas that keep TTFT within its target."""
    alone = profile.prefill.ttft_ms(load.isl)
    service_s = alone.value_ms / 1000.0
    busy = load.rate_per_s * service_s
    slack_s = max(targets.ttft_ms / 1000.0 - service_s, LEAST_SLACK * service_s)
    fewest = min(math.floor(busy) + 1, MOST_REPLICAS)
    if busy >= MOST_REPLICAS:
        replicas, wait = MOST_REPLICAS, Wait(probability=1.0, mean_s=math.inf)
    else:
        replicas, wait = _fewest(load, targets, dispatch, service_s, slack_s)
    binding = Binding.TTFT if replicas > fewest else Binding.THROUGHPUT
    if replicas == 1:
        binding = Binding.FLOOR
    return Answer(
        replicas=replicas,
        busy=busy,
        latency_ms=alone.value_ms + 1000.0 * _typical_s(wait, targets.percentile),
        alone_ms=alone.value_ms,
        in_range=alone.in_range,
        reachable=alone.value_ms <= targets.ttft_ms and replicas < MOST_REPLICAS,
        binding=Binding.LIMIT if replicas >= MOST_REPLICAS else binding,
    )


def _fewest(
    load: Workload, targets: Targets, dispatch: Dispatch, service_s: float, slack_s: float
) -> tuple[int, Wait]:
    for engines, wait in waits(dispatch, load.rate_per_s, service_s, load.service_cv2):
        if engines >= MOST_REPLICAS or _typical_s(wait, targets.percentile) <= slack_s:
            return engines, wait
    raise AssertionError("waits() has no end")


def _typical_s(wait: Wait, percentile: Percentile) -> float:
    return wait.mean_s if percentile.share is None else wait.quantile_s(percentile.share)


def size_decode(profile: EngineProfile, load: Workload, targets: Targets) -> Answer:
    """Choose the fewest decode replicas that keep ITL within its target and fit the KV cache."""
    context = max(load.context_tokens, 1.0)
    itl_ms = profile.decode.itl_of_batches(BATCHES, context)
    spread = targets.percentile.deviations
    others, binding = _most_others(profile, itl_ms, context, targets)
    served_per_s = _served_per_s(itl_ms, load.osl)
    each_per_s = float(np.interp(others + 1.0, BATCHES, served_per_s))
    busy = load.rate_per_s / each_per_s
    replicas = min(max(1, math.ceil(busy - 1e-9)), MOST_REPLICAS)
    held = _held(load.rate_per_s / replicas, served_per_s)
    seen = held + 1.0 + spread * math.sqrt(held)
    now = profile.decode.itl_ms(seen, context)
    fits = load.isl + load.osl <= profile.max_kv_tokens
    limited = Binding.LIMIT if busy > MOST_REPLICAS else binding
    return Answer(
        replicas=replicas,
        busy=busy,
        latency_ms=now.value_ms,
        alone_ms=float(itl_ms[0]),
        in_range=now.in_range,
        reachable=itl_ms[0] <= targets.itl_ms and fits and busy <= MOST_REPLICAS,
        binding=Binding.FLOOR if replicas == 1 else limited,
    )


def _most_others(
    profile: EngineProfile, itl_ms: Array, context: float, targets: Targets
) -> tuple[float, Binding]:
    """Return how many other requests a replica may hold on average, and what forbids more."""
    spread = targets.percentile.deviations
    kv_spread = max(spread, NormalDist().inv_cdf(KV_SHARE))
    in_cache = _others(profile.max_kv_tokens / context, kv_spread)
    in_time = _others(float(np.interp(targets.itl_ms, itl_ms, BATCHES)), spread)
    return (in_cache, Binding.KV) if in_cache < in_time else (in_time, Binding.ITL)


def _others(most: float, spread: float) -> float:
    """Solve ``n + 1 + spread * sqrt(n) = most`` for n, the mean number of other requests."""
    room = max(most - 1.0, 0.0)
    root = (math.sqrt(spread**2 + 4.0 * room) - spread) / 2.0
    return max(root**2, LEAST_OTHERS)


def _served_per_s(itl_ms: Array, osl: float) -> Array:
    """Requests per second that a replica serves while a request sees each of ``BATCHES``.

    A batch so large that it serves less than a smaller one gets no credit for its size.
    """
    held = BATCHES - 1.0
    return np.maximum.accumulate(1000.0 * held / (max(osl, 1.0) * itl_ms))


def _held(rate_per_s: float, served_per_s: Array) -> float:
    """Mean number of requests in flight at which a replica serves this rate."""
    rates, first = np.unique(served_per_s, return_index=True)
    return float(np.interp(rate_per_s, rates, BATCHES[first])) - 1.0
