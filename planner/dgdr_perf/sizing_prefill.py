"""How many prefill replicas a load needs.

Each attention rank of an engine serves one prompt at a time for the time of the prefill curve, so
the ranks of all replicas are the servers of a queue (``queueing``): the fewest replicas for which
the mean, or the asked percentile, of wait plus service plus fixed terms stays within the TTFT
target. Batching several prompts in one step
saves only the fixed part of the curve and is not counted on.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from dgdr_api.points import Source
from dgdr_api.provenance import least_certain
from dgdr_perf.curve_fit import Array
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.queueing import Dispatch, Wait, wait_at
from dgdr_perf.service_time import ServiceTime
from dgdr_perf.sizing_result import MOST_REPLICAS, SAME, Binding, Expected, Sizing, rounded_up
from dgdr_perf.workload import Percentile, PrefillTerms, Targets, Workload

# A mean wait below a twentieth of the target is not worth another replica: keeps the answer
# finite where the target is at or below the service time itself.
LEAST_SLACK = 0.05
# Prompts whose own prefill takes this share of the target begin to count as late by themselves, so
# that the answer does not jump when a target passes the length of many prompts.
ALMOST_LATE = 0.95
# Of all prompts, the most that are taken out of the promise as late by themselves.
MOST_LOST = 0.75
# What is waited over what is allowed is looked at between these by the search for the number of
# engines.
LEAST_SHOWN, MOST_SHOWN = 1e-6, 100.0
# Its steps: the first one as a share of the engines that are busy and at least so many engines,
# the farthest one and the end of all as logarithms, and the square of what counts as none.
FIRST_STEP, LEAST_STEP = 0.25, 1e-3
FAR_STEP, FARTHEST = math.log(4.0), math.log(2.0 * MOST_REPLICAS)
END = 1e-8
# The search for a quantile cuts its interval into 64, to less than a millionth of the time.
PARTS: Array = np.arange(1, 64) / 64
QUANTILE_ROUNDS = 4
NO_TERMS = PrefillTerms()


@dataclass(frozen=True, slots=True)
class Asked:
    """A TTFT target over the classes of prompts.

    ``alone_s`` has shape (classes,): time to first token without any wait. ``lost`` is the share
    of each class that is late however many replicas there are: the percentile speaks about the
    others, ``possible`` of all, or no number would do. ``room_s`` is how long each class may wait,
    ``waiting`` the share of it that a wait can make late, and ``promised`` are the
    shares of what the percentile speaks about: all prompts where too many are late by themselves.
    """

    shares: Array
    alone_s: Array
    target_s: float
    percentile: Percentile
    lost: Array
    room_s: Array = field(init=False)
    waiting: Array = field(init=False)
    possible: float = field(init=False)
    promised: Array = field(init=False)

    def __post_init__(self) -> None:
        # Read at every step of every search.
        object.__setattr__(self, "room_s", np.maximum(self.target_s - self.alone_s, 0.0))
        object.__setattr__(self, "waiting", 1.0 - self.lost)
        object.__setattr__(self, "possible", float(self.shares @ (1.0 - self.lost)))
        share, promised = self.percentile.share, self.shares
        if share is not None and self.possible >= share:
            promised = self.shares * (1.0 - self.lost) / self.possible
        object.__setattr__(self, "promised", promised)

    @classmethod
    def of(cls, shares: Array, alone_s: Array, targets: Targets) -> "Asked":
        """Make the target of a workload."""
        target_s = targets.ttft_ms / 1000.0
        share = targets.percentile.share
        if share is None or len(shares) == 1:
            lost = np.zeros_like(shares)
        else:
            ramp = (alone_s / target_s - ALMOST_LATE) / (1.0 - ALMOST_LATE)
            lost = np.clip(ramp, 0.0, 1.0)
            total = float(shares @ lost)
            lost = lost * min(1.0, MOST_LOST / total) if total > 0 else lost
        return cls(shares, alone_s, target_s, targets.percentile, lost)

    def excess(self, wait: Wait) -> float:
        """How far a wait is from what is allowed: above 0 is too long; -1 is none at all."""
        share = self.percentile.share
        if share is None:
            alone_s = float(self.shares @ self.alone_s)
            slack_s = max(self.target_s - alone_s, LEAST_SLACK * self.target_s)
            return wait.mean_s / slack_s - 1.0
        late = float(self.shares @ (self.waiting * wait.tail_at(self.room_s)))
        return late / (self.possible * (1.0 - share)) - 1.0

    def latency_s(self, wait: Wait) -> float:
        """Time to first token at the percentile of the target."""
        share = self.percentile.share
        if share is None:
            return float(self.shares @ self.alone_s) + wait.mean_s
        if math.isinf(wait.mean_s):
            return math.inf
        if wait.probability <= 0:
            return self._alone_at(share)

        def late(times_s: Array) -> Array:
            return wait.exceeds(times_s[:, None] - self.alone_s) @ self.promised

        return _quantile(late, 1.0 - share, float(self.alone_s.max()))

    def _alone_at(self, share: float) -> float:
        """Time to first token without any wait that this share of the prompts does not exceed."""
        order = np.argsort(self.alone_s)
        reached = np.cumsum(self.promised[order])
        index = int(np.searchsorted(reached, share - 1e-9))
        return float(self.alone_s[order][min(index, len(order) - 1)])


def size_prefill(
    profile: EngineProfile,
    load: Workload,
    targets: Targets,
    dispatch: Dispatch = Dispatch.ROUND_ROBIN,
    terms: PrefillTerms = NO_TERMS,
) -> Sizing:
    """Choose the fewest prefill replicas that keep TTFT within its target.

    The KV transfer of the profile counts where its rows do not hold it: a prompt is late by it,
    and the engine prefills the next one meanwhile.
    """
    prompts, terms = load.prompts(), with_transfer(profile, terms)
    computed = load.computed(prompts)
    served_ms = profile.prefill.ttft_of_lengths(computed)
    service = service_time(load, prompts.shares, served_ms / 1000.0)
    asked = Asked.of(prompts.shares, (served_ms + terms.of(prompts.isl)) / 1000.0, targets)
    ranks = profile.prefill.ranks
    busy = load.rate_per_s * service.mean_s / ranks

    def wait(engines: float) -> Wait:
        return wait_at(dispatch, load.rate_per_s, engines * ranks, service, asked.target_s)

    exact = fewest(lambda engines: asked.excess(wait(engines)), busy)
    replicas = rounded_up(exact)
    latency_ms = 1000.0 * asked.latency_s(wait(replicas))
    alone_ms = 1000.0 * asked.latency_s(wait(math.inf))
    return Sizing(
        replicas=replicas,
        replicas_exact=exact,
        busy=busy,
        latency_ms=latency_ms,
        alone_ms=alone_ms,
        ttft=Expected(latency_ms, alone_ms),
        in_range=profile.prefill.covers(computed),
        reachable=latency_ms <= targets.ttft_ms * SAME and exact <= MOST_REPLICAS,
        binding=_binding(exact, busy),
        source=_source(profile),
        late_alone=1.0 - asked.possible,
    )


def with_transfer(profile: EngineProfile, terms: PrefillTerms = NO_TERMS) -> PrefillTerms:
    """Return the terms with the KV transfer that the rows of a profile do not hold."""
    added = profile.transfer.added_ms_per_token if profile.transfer else 0.0
    return replace(terms, transfer_ms_per_token=terms.transfer_ms_per_token + added)


def _source(profile: EngineProfile) -> Source | None:
    """Return how certain TTFT is; without a transfer that belongs to it, it is an estimate."""
    curve, transfer = profile.prefill.source, profile.transfer
    if curve is None or transfer is None or transfer.in_ttft:
        return curve
    return least_certain((curve, transfer.source or Source.ESTIMATED))


def service_time(load: Workload, shares: Array, seconds: Array) -> ServiceTime:
    """Service times of the classes; without an observed distribution spread by ``service_cv2``."""
    known = load.isl_quantiles is not None
    return ServiceTime(shares, seconds, 0.0 if known else load.service_cv2)


def fewest(excess: Callable[[float], float], busy: float) -> float:
    """Smallest real number of engines above ``busy`` at which a falling excess is not above 0.

    By secants of logarithms: waits fall with the number of engines about as a power does. Each
    evaluation is a queue to compute; the step that is left after the last one is trusted where its
    product with the step before, about the error of a secant, is negligible.
    """
    if not 0 < busy < MOST_REPLICAS:
        return max(busy, 0.0)
    low, high, at = math.log(busy), math.inf, math.log(busy + max(FIRST_STEP * busy, LEAST_STEP))
    before, shown, step = low, _shown(excess(busy)), at - low
    while at <= FARTHEST and high - low > END:
        now = _shown(excess(math.exp(at)))
        low, high = (at, high) if now > 0 else (low, at)
        left = now * (at - before) / (shown - now) if shown != now else math.inf
        if low <= at + left <= high and abs(left * step) < END:
            return math.exp(at + left)
        before, shown, step = at, now, _inside(left, at, low, high)
        at += step
    return math.exp(min(at, high))


def _shown(excess: float) -> float:
    """Logarithm of what is waited over what is allowed, where none at all and endless have one."""
    return math.log(min(max(1.0 + excess, LEAST_SHOWN), MOST_SHOWN))


def _inside(step: float, at: float, low: float, high: float) -> float:
    """Return the step, or another one where that leaves what is known or goes far beyond."""
    if low < at + step < min(high, at + FAR_STEP):
        return step
    return FAR_STEP if math.isinf(high) else (low + high) / 2.0 - at


def _binding(exact: float, busy: float) -> Binding:
    replicas = rounded_up(exact)
    if replicas >= MOST_REPLICAS:
        return Binding.LIMIT
    if replicas == 1:
        return Binding.FLOOR
    return Binding.TTFT if replicas > math.floor(busy) + 1 else Binding.THROUGHPUT


def _quantile(late: Callable[[Array], Array], allowed: float, start: float) -> float:
    """Smallest time at which a falling share of late requests is within what is allowed."""
    low, high = 0.0, max(start, 1e-6)
    allowed += 1e-9  # where the share stays the same for long, rounding must not choose the time
    while late(np.array([high]))[0] > allowed:
        low, high = high, 2.0 * high
    for _ in range(QUANTILE_ROUNDS):
        inner = low + (high - low) * PARTS
        too_late = int(np.count_nonzero(late(inner) > allowed))
        edges = [low, *inner.tolist(), high]
        low, high = edges[too_late], edges[too_late + 1]
    return high
