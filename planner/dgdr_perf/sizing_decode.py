"""How many decode replicas a load needs.

A request that arrives sees the others of its replica and itself in every step. By Little's law a
replica holds ``n = rate * osl * itl(n + 1)`` others on average. Their number is that of a queue in
which requests do not wait but slow each other down (insensitive to the distribution of lengths,
Kelly 1979); linearised around its mean its variance is ``n * itl(n + 1) / itl(1)``: Poisson while
steps cost the same, wider where each request makes them longer. Requests add to a step, and to the
KV cache, by their own context: what they add together is a compound Poisson number, whose variance
has ``1 + cv2`` of the context as a factor for the part that the context is responsible for. A
replica is full when the batch that is as long to step as ``n + 1 + z * deviation`` requests of the
mean context, z from the percentile, would break the ITL target, when their contexts would overflow
the KV cache, or when their number would exceed the batch that the engine runs at once.
"""

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from dgdr_perf.curve_fit import Array
from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing_result import MOST_REPLICAS, SAME, Binding, Expected, Sizing, rounded_up
from dgdr_perf.workload import Percentile, Targets, Workload

# Requests besides the own one that a replica is always trusted to hold: more replicas than requests
# in flight would idle. Keeps the answer finite where the target is below a lone request's step.
LEAST_OTHERS = 1.0
# Where 1 % of the target asks for more than one replica and more than 5 %, it gets only those: as
# powers and as replicas of the target's logarithm. Hardly above a lone request's step large
# deployments would need many times as much; there the answer says that the target is not met.
STEEPEST, STEEPEST_REPLICAS = 4.8, 98.0
# Margin of the KV cache and the batch against requests that would be preempted or made to wait. At
# least this percentile, whatever the SLA asks.
ROOM_SHARE = 0.95
ROOM_DEVIATIONS = NormalDist().inv_cdf(ROOM_SHARE)
# Evaluated replicas that are kept: those of the decisions that are under way, 1 MiB.
REMEMBERED = 32
# Mean numbers of other requests at which decode is evaluated: fixed, so that answers for different
# loads are comparable.
OTHERS: Array = np.concatenate([[0.0], np.geomspace(0.01, 1e5, 600)])


@dataclass(frozen=True, slots=True)
class Decoding:
    """One replica at each of ``OTHERS``; arrays of that shape.

    ``step_ms`` is the mean time of a step, ``itl_ms`` that between tokens. ``peak`` and
    ``peak_itl_ms`` are batch and time between tokens at the percentile of the targets;
    ``room_tokens`` and ``room_batch`` KV tokens and batch at ``ROOM_SHARE`` or that percentile,
    whichever is more; ``served_per_s`` requests per second. ``rates_per_s`` are those of them that
    are more than with fewer ``others``, which has their shape.
    """

    step_ms: Array
    itl_ms: Array
    peak: Array
    peak_itl_ms: Array
    room_tokens: Array
    room_batch: Array
    served_per_s: Array
    rates_per_s: Array
    others: Array

    @classmethod
    def of(
        cls, profile: EngineProfile, load: Workload, targets: Targets, busy_s: float = 0.0
    ) -> "Decoding":
        """Evaluate a replica.

        ``busy_s`` is the time that the engine spends on one request apart from its steps, and that
        all others wait for: 0 unless it prefills too.
        """
        return _evaluated(
            profile.decode,
            load.context_tokens,
            load.context_cv2,
            load.osl,
            targets.percentile,
            busy_s,
        )

    def need(
        self, profile: EngineProfile, targets: Targets, rate_per_s: float
    ) -> tuple[float, Binding]:
        """Return the replicas that serve a rate, and what forbids fewer."""
        kv = _reached(profile.max_kv_tokens, self.room_tokens)
        limits = [
            (self._chased(targets.itl_ms, rate_per_s), Binding.ITL),
            (self._carrying(rate_per_s, kv), Binding.KV),
        ]
        if profile.max_num_seqs is not None:
            batch = _reached(profile.max_num_seqs, self.room_batch)
            limits.append((self._carrying(rate_per_s, batch), Binding.BATCH))
        replicas, binding = max(limits, key=lambda limit: limit[0])
        return min(replicas, self._carrying(rate_per_s, LEAST_OTHERS)), binding

    def _chased(self, target_ms: float, rate_per_s: float) -> float:
        """Replicas that meet a target, which is not chased hardly above a lone request."""
        met = self._carrying(rate_per_s, _reached(target_ms, self.peak_itl_ms))
        need = _over(rate_per_s, self.served_per_s)
        missed_by = np.log(np.maximum(self.peak_itl_ms / target_ms, 1.0))
        return min(met, float(_grown(need, missed_by).min()))

    def _carrying(self, rate_per_s: float, others: float) -> float:
        """Replicas that serve a rate while each holds so many others."""
        return float(_over(rate_per_s, np.array(self.rate_at(others))))

    def rate_at(self, others: float) -> float:
        """Requests per second that a replica serves while it holds so many others."""
        return float(np.interp(others, OTHERS, self.served_per_s))

    def others_at(self, rate_per_s: float) -> float:
        """Mean number of others while a replica serves this rate."""
        return float(np.interp(rate_per_s, self.rates_per_s, self.others))

    def at(self, quantity: Array, rate_per_s: float) -> float:
        """Read one of the arrays while a replica serves this rate."""
        return float(np.interp(self.others_at(rate_per_s), OTHERS, quantity))


@lru_cache(maxsize=REMEMBERED)
def _evaluated(
    surface: DecodeSurface,
    context: float,
    context_cv2: float,
    osl: float,
    percentile: Percentile,
    busy_s: float,
) -> Decoding:
    """Evaluate a replica once for all rates and targets that one decision asks about."""
    step_ms = surface.itl_of_batches(OTHERS + 1.0, context)
    deviation = np.sqrt(OTHERS * step_ms / step_ms[0])
    spread = percentile.deviations
    room = max(spread, ROOM_DEVIATIONS)
    served_per_s = OTHERS / (max(osl, 1.0) * step_ms / 1000.0 + OTHERS * busy_s)
    # A batch so large that it serves less than a smaller one gets no credit for its size.
    served_per_s = np.maximum.accumulate(served_per_s)
    grows = np.diff(served_per_s, prepend=-1.0) > 0
    slowed = 1.0 / (1.0 - served_per_s * busy_s)
    uneven = math.sqrt(1.0 + context_cv2 * surface.by_context(context) ** 2)
    peak = OTHERS + 1.0 + spread * uneven * deviation
    peak_ms = surface.itl_of_batches(peak, context) if spread else step_ms
    kv_spread = room * math.sqrt(1.0 + context_cv2) * deviation
    return Decoding(
        step_ms=step_ms,
        itl_ms=step_ms * slowed,
        peak=peak,
        peak_itl_ms=peak_ms * slowed,
        room_tokens=(OTHERS + 1.0 + kv_spread) * context,
        room_batch=OTHERS + 1.0 + room * deviation,
        served_per_s=served_per_s,
        rates_per_s=served_per_s[grows],
        others=OTHERS[grows],
    )


def size_decode(profile: EngineProfile, load: Workload, targets: Targets) -> Sizing:
    """Choose the fewest decode replicas that keep ITL within its target and fit the KV cache."""
    return decode_answer(profile, load, targets, Decoding.of(profile, load, targets))


def decode_answer(
    profile: EngineProfile, load: Workload, targets: Targets, decoding: Decoding
) -> Sizing:
    """Answer for a replica that was evaluated."""
    exact, binding = decoding.need(profile, targets, load.rate_per_s)
    replicas = rounded_up(exact)
    each_per_s = load.rate_per_s / replicas
    latency_ms = decoding.at(decoding.peak_itl_ms, each_per_s)
    seen = decoding.at(decoding.peak, each_per_s)
    alone_ms = float(decoding.itl_ms[0])
    room = fits(profile, load, targets)
    answer = Sizing(
        replicas=replicas,
        replicas_exact=exact,
        busy=exact,
        latency_ms=latency_ms,
        alone_ms=alone_ms,
        itl=Expected(latency_ms, alone_ms),
        in_range=profile.decode.covers(seen, load.context_tokens),
        reachable=latency_ms <= targets.itl_ms * SAME and room,
        fits=room,
        binding=Binding.FLOOR if replicas == 1 else binding,
        source=profile.decode.source,
    )
    if exact > MOST_REPLICAS:
        return replace(answer, reachable=False, binding=Binding.LIMIT)
    return answer


def fits(profile: EngineProfile, load: Workload, targets: Targets) -> bool:
    """Whether requests, up to the percentile of the targets, fit into an empty KV cache."""
    share = targets.percentile.share
    if share is None:
        return load.isl + load.osl <= profile.max_kv_tokens
    prompts, answers = load.prompts(), load.answers()
    inside = np.add.outer(prompts.isl, answers.osl) <= profile.max_kv_tokens
    return float(prompts.shares @ inside @ answers.shares) >= share - 1e-9


def _over(rate_per_s: float, served_per_s: Array) -> Array:
    """Return the replicas for a rate, infinite where one serves nothing."""
    endless = np.full(served_per_s.shape, np.inf if rate_per_s > 0.0 else 0.0)
    return np.asarray(np.divide(rate_per_s, served_per_s, out=endless, where=served_per_s > 0.0))


def _grown(replicas: Array, by: Array) -> Array:
    """Return what replicas become at most when the logarithm of a target falls by so much."""
    evenly = np.clip((STEEPEST_REPLICAS / STEEPEST - replicas) / STEEPEST_REPLICAS, 0.0, by)
    return np.asarray((replicas + STEEPEST_REPLICAS * evenly) * np.exp(STEEPEST * (by - evenly)))


def _reached(limit: float, rising: Array) -> float:
    """Return the largest of ``OTHERS`` at which a rising quantity is within its limit."""
    return float(np.interp(limit, np.maximum.accumulate(rising), OTHERS))
