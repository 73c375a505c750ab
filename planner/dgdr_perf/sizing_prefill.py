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
from dgdr_perf.fewest import FAR_STEP, LEAST_SHOWN, fewest
from dgdr_perf.queueing import NO_WAIT, Dispatch, RoughWaits, Wait, rough_waits, wait_at
from dgdr_perf.service_time import ServiceTime
from dgdr_perf.sizing_result import MOST_REPLICAS, SAME, Binding, Expected, Sizing, rounded_up
from dgdr_perf.workload import Percentile, PrefillTerms, Prompts, Targets, Workload

# A mean wait below a twentieth of the target is not worth another replica: keeps the answer
# finite where the target is at or below the service time itself.
LEAST_SLACK = 0.05
# Prompts whose own prefill takes this share of the target begin to count as late by themselves, so
# that the answer does not jump when a target passes the length of many prompts.
ALMOST_LATE = 0.95
# Of all prompts, the most that are taken out of the promise as late by themselves.
MOST_LOST = 0.75
# Times the engines that are busy, at which waits are looked at roughly: no farther than a search
# goes in one step.
LOOKED_AT: Array = 1.0 + np.geomspace(1e-2, math.exp(FAR_STEP) - 1.0, 40)
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
            return wait.mean_s / self._slack_s - 1.0
        late = float(self.shares @ (self.waiting * wait.tail_at(self.room_s)))
        return late / (self.possible * (1.0 - share)) - 1.0

    def rough_excess(self, waits: RoughWaits) -> Array:
        """Return the same of several waits, roughly; their shape."""
        share = self.percentile.share
        if share is None:
            return waits.mean_s / self._slack_s - 1.0
        decay_per_s = waits.probability / waits.mean_s
        tails = waits.probability[:, None] * np.exp(-decay_per_s[:, None] * self.room_s)
        late = tails @ (self.shares * self.waiting)
        return np.asarray(late / (self.possible * (1.0 - share)) - 1.0)

    @property
    def _slack_s(self) -> float:
        """Return what a mean may wait."""
        alone_s = float(self.shares @ self.alone_s)
        return max(self.target_s - alone_s, LEAST_SLACK * self.target_s)

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
    return PrefillQueue.of(profile, load, dispatch, terms).sized(targets)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrefillQueue:
    """A load in front of prefill replicas, for all targets that are asked about.

    ``alone_s`` has shape (classes,), ``busy`` are the replicas that the load keeps busy, ``waits``
    those that were computed so far, by replicas: the search for one target begins at what the
    search for another one looked at.
    """

    profile: EngineProfile
    load: Workload
    dispatch: Dispatch
    prompts: Prompts
    alone_s: Array
    service: ServiceTime
    busy: float
    waits: dict[float, Wait] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        profile: EngineProfile,
        load: Workload,
        dispatch: Dispatch,
        terms: PrefillTerms = NO_TERMS,
    ) -> "PrefillQueue":
        """Put a load in front of replicas."""
        prompts = load.prompts()
        served_ms = profile.prefill.ttft_of_lengths(load.computed(prompts))
        service = service_time(load, prompts.shares, served_ms / 1000.0)
        return cls(
            profile=profile,
            load=load,
            dispatch=dispatch,
            prompts=prompts,
            alone_s=(served_ms + with_transfer(profile, terms).of(prompts.isl)) / 1000.0,
            service=service,
            busy=load.rate_per_s * service.mean_s / profile.prefill.ranks,
        )

    def sized(self, targets: Targets) -> Sizing:
        """Choose the fewest replicas that keep TTFT within its target."""
        asked = Asked.of(self.prompts.shares, self.alone_s, targets)
        exact = self._fewest(asked)
        replicas = rounded_up(exact)
        latency_ms = 1000.0 * asked.latency_s(self._wait(replicas))
        alone_ms = 1000.0 * asked.latency_s(NO_WAIT)
        return Sizing(
            replicas=replicas,
            replicas_exact=exact,
            busy=self.busy,
            latency_ms=latency_ms,
            alone_ms=alone_ms,
            ttft=Expected(latency_ms, alone_ms),
            in_range=self.profile.prefill.covers(self.load.computed(self.prompts)),
            reachable=latency_ms <= targets.ttft_ms * SAME and exact <= MOST_REPLICAS,
            binding=_binding(exact, self.busy),
            source=_source(self.profile),
            late_alone=1.0 - asked.possible,
        )

    def _wait(self, replicas: float) -> Wait:
        found = self.waits.get(replicas)
        if found is None:
            engines = replicas * self.profile.prefill.ranks
            found = wait_at(self.dispatch, self.load.rate_per_s, engines, self.service)
            self.waits[replicas] = found
        return found

    def _fewest(self, asked: Asked) -> float:
        if not self.busy > 0:
            return 0.0
        first = list(self.waits) or [self._guess(asked)]
        return fewest(lambda replicas: asked.excess(self._wait(replicas)), self.busy, first)

    def _guess(self, asked: Asked) -> float:
        """Return about the fewest replicas, from waits that are known roughly."""
        replicas = self.busy * LOOKED_AT
        engines = replicas * self.profile.prefill.ranks
        waits = rough_waits(self.dispatch, self.load.rate_per_s, engines, self.service)
        heights = np.log(np.maximum(1.0 + asked.rough_excess(waits), LEAST_SHOWN))
        return math.exp(np.interp(0.0, -heights, np.log(replicas)))


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
