"""One load under our planner and under others, for each start-up time, and what to set. Pure.

Every controller finds the same requests, the same engines and the same replicas at the begin, and
may have as many replicas and GPUs as the spec allows ours.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.classic import ClassicProfile
from dgdr_perf.simulator.arrivals import Requests
from dgdr_planner.observe.observation import SHARES
from dgdr_planner.policy import Policy
from dgdr_planner.tell.metrics import MEAN_OBJECTIVE
from dgdr_rehearsal.replay.advice import Advice, advice
from dgdr_rehearsal.replay.allowed import Allowed, Within
from dgdr_rehearsal.replay.baselines import begun
from dgdr_rehearsal.replay.classic import Classic
from dgdr_rehearsal.replay.controllers import Controller, HpaLike, Replicas, Static
from dgdr_rehearsal.replay.hindsight import hindsight
from dgdr_rehearsal.replay.needs import largest, needs
from dgdr_rehearsal.replay.ours import Ours
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse

# As often as a HorizontalPodAutoscaler looks.
HPA_INTERVAL_S = 15.0
HPA_SHARE = 0.8
# Batches of 1 to 1024 requests.
BATCHES = np.arange(1.0, 1025.0)


class Against(StrEnum):
    """Whom to compare with."""

    STATIC = "static"
    HPA = "hpa"
    CLASSIC = "classic"
    ORACLE = "oracle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Requests, and where they come from.

    They end with the last one where ``duration_s`` is None. ``unknown`` is the share of the time
    of which nobody knows how many there were.
    """

    requests: Requests
    source: str
    duration_s: float | None = None
    unknown: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a user says about a rehearsal, whoever is rehearsed.

    ``isl`` and ``osl`` are for a range of rates, which has no lengths: tokens, or a file.
    """

    against: tuple[Against, ...]
    seed: int
    isl: str | None = None
    osl: str | None = None
    times: float = 1.0
    gpus: Mapping[Role, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What is rehearsed: a world, our policy in it, and the others.

    ``classic`` is None where upstream's planner has no curves: it is for separate prefill and
    decode only. ``start_up_s`` is what the planner measured; None where it has not.
    """

    name: str
    load: Load
    world: World
    policy: Policy
    against: tuple[Against, ...]
    classic: ClassicProfile | None = None
    start_up_s: float | None = None

    @property
    def allowed(self) -> Allowed:
        """What the spec allows everybody."""
        return Allowed.by(self.policy, self.world.gpus)

    @property
    def goal(self) -> float:
        """The share of the requests that shall be in time."""
        return SHARES.get(self.policy.targets.percentile.value, MEAN_OBJECTIVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The runs of one start-up time, ours first, and what to set for it."""

    start_up_s: float
    runs: tuple[Rehearsed, ...]
    advice: Advice


Note = Callable[[Rehearsed], None]
"""Hears of each run as soon as it is over: there are many, and they take a while."""


def rehearsed(what: Rehearsal, start_ups_s: Sequence[float], note: Note) -> tuple[Answer, ...]:
    """Rehearse each start-up time."""
    known = needs(what.world)
    return tuple(_answer(what, known, start_up_s, note) for start_up_s in start_ups_s)


def _answer(what: Rehearsal, known: Sequence[Replicas], start_up_s: float, note: Note) -> Answer:
    world = begun(what.world.starting_in(start_up_s), known)

    def tried(policy: Policy) -> Rehearsed:
        begin = Allowed.by(policy, world.gpus).nearest(world.initial)
        ours = Ours(profile=world.profile, policy=policy, gpus=world.gpus)
        run = rehearse(replace(world, initial=begin), "ours", ours, ours.interval_s)
        note(run)
        return run

    here = replace(world, initial=what.allowed.nearest(world.initial))
    runs = [tried(what.policy)]
    for run in _others(what, here, known):
        note(run)
        runs.append(run)
    best = advice(what.policy, world.gpus, largest(known), what.goal, tried)
    return Answer(start_up_s=start_up_s, runs=tuple(runs), advice=best)


def _others(what: Rehearsal, world: World, known: Sequence[Replicas]) -> Iterator[Rehearsed]:
    for other in what.against:
        match other:
            case Against.STATIC:
                peak = what.allowed.nearest(largest(known))
                yield rehearse(replace(world, initial=peak), "static peak", Static())
            case Against.HPA:
                most = what.allowed.most
                scaler = Within(HpaLike(per_replica=in_flight(world), most=most), what.allowed)
                yield rehearse(world, "hpa-like", scaler, HPA_INTERVAL_S)
            case Against.CLASSIC:
                if what.classic is not None:
                    yield rehearse(world, "classic", _upstream(what, what.classic))
            case Against.ORACLE:
                yield hindsight(world, what.allowed, what.goal)


def _upstream(what: Rehearsal, curves: ClassicProfile) -> Controller:
    world = what.world
    most = max(what.allowed.most.values())
    upstream = Classic(profile=curves, targets=world.targets, gpus=world.gpus, most=most)
    return Within(upstream, what.allowed)


def in_flight(world: World) -> Mapping[Role, float]:
    """Return the requests in each replica that a HorizontalPodAutoscaler is told to aim at.

    One prompt in each prefill replica; of the others 80 % of the batch whose steps last as long
    as the ITL target, at the mean context of the trace.
    """
    requests = world.requests
    context = float(requests.isl.mean() + requests.osl.mean() / 2.0)
    steps_ms = world.profile.decode.itl_of_batches(BATCHES, context)
    batch = max(float((steps_ms <= world.targets.itl_ms).sum()), 1.0)
    each = {Role.PREFILL: 1.0}
    return {role: each.get(role, HPA_SHARE * batch) for role in world.gpus}
