"""How many decode replicas a load needs.

A request that arrives sees the others of its replica and itself in every step. By Little's law a
replica holds ``n = rate * osl * itl(n + 1)`` others on average. Their number is that of a queue in
which requests do not wait but slow each other down (insensitive to the distribution of lengths,
Kelly 1979); linearised around its mean its variance is ``n * itl(n + 1) / itl(1)``: Poisson while
steps cost the same, wider where each request makes them longer. A replica is full when
``n + 1 + z * deviation`` requests, z from the percentile, would break the ITL target, overflow the
KV cache or exceed the batch that the engine runs at once.
"""

from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from dgdr_perf.answer import MOST_REPLICAS, SAME, Answer, Binding, rounded_up
from dgdr_perf.curve_fit import Array
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.workload import Targets, Workload

# Requests besides the own one that a replica is always trusted to hold: more replicas than requests
# in flight would idle. Keeps the answer finite where the target is below a lone request's step.
LEAST_OTHERS = 1.0
# Replicas grow by at most this power of the target: 5 % for 1 %. A target within a quarter of a
# lone request's step needs more; there the answer says that the target is not met.
STEEPEST = 4.9
# Margin of the KV cache and the batch against requests that would be preempted or made to wait. At
# least this percentile, whatever the SLA asks.
ROOM_SHARE = 0.95
# Mean numbers of other requests at which decode is evaluated: fixed, so that answers for different
# loads are comparable.
OTHERS: Array = np.concatenate([[0.0], np.geomspace(0.01, 1e5, 600)])


@dataclass(frozen=True, slots=True)
class Decoding:
    """One replica at each of ``OTHERS``; arrays of that shape.

    ``step_ms`` is the mean time of a step, ``itl_ms`` that between tokens. ``peak`` and
    ``peak_itl_ms`` are batch and time between tokens at the percentile of the targets;
    ``room_tokens`` and ``room_batch`` KV tokens and batch at ``ROOM_SHARE`` or that percentile,
    whichever is more; ``served_per_s`` requests per second.
    """

    step_ms: Array
    itl_ms: Array
    peak: Array
    peak_itl_ms: Array
    room_tokens: Array
    room_batch: Array
    served_per_s: Array

    @classmethod
    def of(
        cls, profile: EngineProfile, load: Workload, targets: Targets, busy_s: float = 0.0
    ) -> "Decoding":
        """Evaluate a replica.

        ``busy_s`` is the time that the engine spends on one request apart from its steps, and that
        all others wait for: 0 unless it prefills too.
        """
        context, surface = load.context_tokens, profile.decode
        step_ms = surface.itl_of_batches(OTHERS + 1.0, context)
        variance = OTHERS * step_ms / step_ms[0]
        spread = targets.percentile.deviations
        room = max(spread, NormalDist().inv_cdf(ROOM_SHARE))
        served_per_s = OTHERS / (max(load.osl, 1.0) * step_ms / 1000.0 + OTHERS * busy_s)
        # A batch so large that it serves less than a smaller one gets no credit for its size.
        served_per_s = np.maximum.accumulate(served_per_s)
        slowed = 1.0 / (1.0 - served_per_s * busy_s)
        peak = OTHERS + 1.0 + spread * np.sqrt(variance)
        kv_spread = room * np.sqrt(variance * (1.0 + load.context_cv2))
        return cls(
            step_ms=step_ms,
            itl_ms=step_ms * slowed,
            peak=peak,
            peak_itl_ms=surface.itl_of_batches(peak, context) * slowed,
            room_tokens=(OTHERS + 1.0 + kv_spread) * context,
            room_batch=OTHERS + 1.0 + room * np.sqrt(variance),
            served_per_s=served_per_s,
        )

    def most_others(self, profile: EngineProfile, targets: Targets) -> tuple[float, Binding]:
        """Return how many others a replica may hold on average, and what forbids more."""
        limits = [(_eased(targets.itl_ms, self.peak_itl_ms), Binding.ITL)]
        limits.append((_reached(profile.max_kv_tokens, self.room_tokens), Binding.KV))
        if profile.max_num_seqs is not None:
            limits.append((_reached(profile.max_num_seqs, self.room_batch), Binding.BATCH))
        most, binding = min(limits, key=lambda limit: limit[0])
        return max(most, LEAST_OTHERS), binding

    def rate_at(self, others: float) -> float:
        """Requests per second that a replica serves while it holds so many others."""
        return float(np.interp(others, OTHERS, self.served_per_s))

    def others_at(self, rate_per_s: float) -> float:
        """Mean number of others while a replica serves this rate."""
        rates, first = np.unique(self.served_per_s, return_index=True)
        return float(np.interp(rate_per_s, rates, OTHERS[first]))

    def at(self, quantity: Array, rate_per_s: float) -> float:
        """Read one of the arrays while a replica serves this rate."""
        return float(np.interp(self.others_at(rate_per_s), OTHERS, quantity))


def size_decode(profile: EngineProfile, load: Workload, targets: Targets) -> Answer:
    """Choose the fewest decode replicas that keep ITL within its target and fit the KV cache."""
    return decode_answer(profile, load, targets, Decoding.of(profile, load, targets))


def decode_answer(
    profile: EngineProfile, load: Workload, targets: Targets, decoding: Decoding
) -> Answer:
    """Answer for a replica that was evaluated."""
    most, binding = decoding.most_others(profile, targets)
    exact = load.rate_per_s / decoding.rate_at(most)
    replicas = rounded_up(exact)
    each_per_s = load.rate_per_s / replicas
    latency_ms = decoding.at(decoding.peak_itl_ms, each_per_s)
    seen = decoding.at(decoding.peak, each_per_s)
    answer = Answer(
        replicas=replicas,
        replicas_exact=exact,
        busy=exact,
        latency_ms=latency_ms,
        alone_ms=float(decoding.itl_ms[0]),
        in_range=profile.decode.itl_ms(seen, load.context_tokens).in_range,
        reachable=latency_ms <= targets.itl_ms * SAME and fits(profile, load, targets),
        binding=Binding.FLOOR if replicas == 1 else binding,
        source=profile.decode.source,
    )
    if exact > MOST_REPLICAS:
        return replace(answer, reachable=False, binding=Binding.LIMIT)
    return answer


def fits(profile: EngineProfile, load: Workload, targets: Targets) -> bool:
    """Whether requests, up to the percentile of the targets, fit into an empty KV cache."""
    prompts = load.prompts()
    longest = prompts.isl + load.osl <= profile.max_kv_tokens
    share = targets.percentile.share
    if share is None:
        return load.isl + load.osl <= profile.max_kv_tokens
    return float(prompts.shares @ longest) >= share - 1e-9


def _eased(target_ms: float, rising_ms: Array) -> float:
    """Return the same for a target, without chasing one that is hardly above a lone request."""
    share = np.minimum(target_ms / rising_ms, 1.0) ** STEEPEST
    return max(_reached(target_ms, rising_ms), float((OTHERS * share).max()))


def _reached(limit: float, rising: Array) -> float:
    """Return the largest of ``OTHERS`` at which a rising quantity is within its limit."""
    return float(np.interp(limit, np.maximum.accumulate(rising), OTHERS))
