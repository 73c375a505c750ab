"""Our planner as a controller: the very function that decides in a cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.simulator.arrivals import Array
from dgdr_planner.ahead import begins, rises
from dgdr_planner.decide import decide
from dgdr_planner.observe.histogram import Histogram
from dgdr_planner.observe.looks import LOOK_S, Look, kept, looks_help
from dgdr_planner.observe.observation import (
    QUANTILES,
    SHARES,
    LoadSeen,
    Observation,
    RoleSeen,
    TargetSeen,
)
from dgdr_planner.observe.value import Idle, Metric, Unknown, Value
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.policy import Policy
from dgdr_planner.state import State
from dgdr_rehearsal.replay.controllers import Replicas
from dgdr_rehearsal.replay.window import WindowSeen, joined

# Any moment will do: a rehearsal counts from its own begin.
BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
# Bounds of a frontend's histograms double from bucket to bucket.
LATENCY_BOUNDS_MS = tuple(2.0**power for power in range(20))
# What a planner reads of frontends that were not scraped yet.
NOT_READ = LoadSeen.unknown("NoSeries", "nothing was scraped yet", 0.0)
LENGTH_BOUNDS = tuple(2.0**power for power in range(4, 21))


@dataclass(slots=True, kw_only=True)
class Ours:
    """Decides as the planner of a cluster would, from the same numbers; remembers its state.

    ``head_room`` multiplies the load that it is told of: for the price of planning for more.
    ``decisions`` are all so far, by the second of the rehearsal. Without ``shapes`` it is told the
    means of lengths only.
    """

    profile: EngineProfile
    policy: Policy
    gpus: Mapping[Role, int]
    head_room: float = 1.0
    shapes: bool = True
    state: State = field(default_factory=State)
    decisions: dict[float, Decision] = field(default_factory=dict)
    _parts: list[WindowSeen] = field(default_factory=list)
    _looks: tuple[Look, ...] = ()
    _ticked: Observation | None = None

    @property
    def interval_s(self) -> float:
        """Seconds from one look to the next: a whole part of an interval, or an interval."""
        interval_s = self.policy.interval_s
        return interval_s / (interval_s // LOOK_S) if looks_help(interval_s, LOOK_S) else interval_s

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return what would be written; nothing where the planner would hold, or need not look."""
        now = BEGIN + timedelta(seconds=seen.t_s)
        self._looks = kept(self._looks, _look(seen, now, self.head_room))
        self._parts.append(seen)
        target = _target(seen, self.gpus)
        is_whole = sum(part.window_s for part in self._parts) >= 0.99 * self.policy.interval_s
        if not is_whole and not self._begins():
            return self._fast(target, now)
        load = load_seen(joined(self._parts), self.head_room)
        load = load if self.shapes else replace(load, isl_quantiles=None, osl_quantiles=None)
        if is_whole:
            self._parts.clear()
        self._ticked = Observation(target=target, load=load, looks=self._looks)
        return self._decided(self._ticked, now)

    def _begins(self) -> bool:
        load = self._ticked.load if self._ticked else NOT_READ
        return begins(load, self.state, self._looks, self.policy)

    def _fast(self, target: TargetSeen, now: datetime) -> Replicas:
        ticked = self._ticked
        if ticked is None or not rises(self.state, self._looks, self.policy, now):
            return {}
        return self._decided(replace(ticked, target=target).looked(self._looks), now)

    def _decided(self, observation: Observation, now: datetime) -> Replicas:
        decision = decide(observation, self.profile, self.policy, self.state, now)
        self.state = decision.state
        self.decisions[(now - BEGIN).total_seconds()] = decision
        if not isinstance(decision.outcome, Plan):
            return {}
        return {plan.seen.role: plan.replicas for plan in decision.outcome.roles}


def _look(seen: WindowSeen, now: datetime, head_room: float) -> Look:
    return Look(
        at_s=now.timestamp(),
        window_s=seen.window_s,
        rate_per_s=head_room * seen.rate_per_s,
        queued=_queued(seen),
        in_flight=float(seen.in_flight),
    )


def _queued(seen: WindowSeen) -> float:
    """Return the requests without a first token, as frontends count them."""
    prefill = seen.roles.get(Role.PREFILL)
    if prefill is not None:
        return float(prefill.waiting + prefill.running)
    return float(sum(counts.waiting for counts in seen.roles.values()))


def load_seen(seen: WindowSeen, head_room: float = 1.0) -> LoadSeen:
    """Return the window as the planner's metrics would show it."""
    idle = not seen.started and not seen.in_flight and not seen.completed
    nothing: Metric = Idle() if idle else Unknown("NothingFinished", "no request has finished")

    def value(number: float) -> Metric:
        return nothing if np.isnan(number) else Value(number)

    rate: Metric = Idle() if idle else Value(head_room * seen.rate_per_s)
    ttft = histogram(seen.ttft_ms, LATENCY_BOUNDS_MS)
    itl = histogram(seen.itl_ms, LATENCY_BOUNDS_MS, seen.gaps)
    isl = histogram(seen.prompts, LENGTH_BOUNDS)
    osl = histogram(seen.answers, LENGTH_BOUNDS)
    return LoadSeen(
        rate_per_s=rate,
        isl=value(seen.isl),
        osl=value(seen.osl),
        ttft_ms=value(_mean(seen.ttft_ms)),
        itl_ms=value(_mean(seen.itl_ms, seen.gaps)),
        duration_s=value(seen.duration_s),
        window_s=seen.window_s,
        frontends=1,
        completed_per_s=Idle() if idle else Value(seen.completed / seen.window_s),
        queued=Value(_queued(seen)),
        in_flight=Value(float(seen.in_flight)),
        requests=float(seen.completed),
        quantiles=dict(zip(QUANTILES, _quantiles(ttft, itl, nothing), strict=True)),
        isl_quantiles=isl.points(seen.isl) if isl else None,
        osl_quantiles=osl.points(seen.osl) if osl else None,
        ttft_histogram_ms=ttft,
        itl_histogram_ms=itl,
    )


def _target(seen: WindowSeen, gpus: Mapping[Role, int]) -> TargetSeen:
    roles = tuple(
        RoleSeen(
            role=role,
            component=role.value,
            replicas=counts.replicas,
            ready=counts.ready,
            gpus_per_replica=gpus[role],
            terminating=counts.terminating,
            present=counts.replicas,
        )
        for role, counts in seen.roles.items()
    )
    return TargetSeen(namespace="rehearsal", name="target", model=None, roles=roles, frontends=1)


def histogram(
    values: Array, bounds: tuple[float, ...], weights: Array | None = None
) -> Histogram | None:
    """Count as a frontend does; None where there is nothing to count."""
    if not values.size:
        return None
    weights = np.ones_like(values) if weights is None else weights
    at_most = [(bound, float(weights[values <= bound].sum())) for bound in bounds]
    return Histogram.of([*at_most, (np.inf, float(weights.sum()))])


def _quantiles(ttft: Histogram | None, itl: Histogram | None, nothing: Metric) -> list[Metric]:
    return [
        Value(found.quantile(share)) if found else nothing
        for found in (ttft, itl)
        for share in SHARES.values()
    ]


def _mean(values: Array, weights: Array | None = None) -> float:
    return float(np.average(values, weights=weights)) if values.size else np.nan
