"""One trace under our planner and under others, for each start-up time. Pure.

Every controller finds the same requests, the same engines and the same replicas at the begin.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.classic import ClassicProfile
from dgdr_planner.policy import Policy
from dgdr_rehearsal.replay.baselines import begun, oracle
from dgdr_rehearsal.replay.classic import Classic
from dgdr_rehearsal.replay.controllers import HpaLike, Static
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
class Rehearsal:
    """What is rehearsed: a world, our policy in it, and the others.

    ``classic`` is None where upstream's planner has no curves: it is for separate prefill and
    decode only.
    """

    world: World
    policy: Policy
    against: tuple[Against, ...]
    classic: ClassicProfile | None = None

    @property
    def most(self) -> Mapping[Role, int]:
        """The replicas that the spec allows."""
        return {role: limits.most for role, limits in self.policy.limits.items()}


def rehearsed(what: Rehearsal, start_ups_s: Sequence[float]) -> Iterator[Rehearsed]:
    """Yield the runs, for each start-up time ours first."""
    for start_up_s in start_ups_s:
        world = _begun(what, start_up_s)
        ours = Ours(profile=world.profile, policy=what.policy, gpus=world.gpus)
        yield rehearse(world, "ours", ours, ours.interval_s)
        for other in what.against:
            yield from _other(what, world, other)


def _other(what: Rehearsal, world: World, other: Against) -> Iterator[Rehearsed]:
    most = what.most
    match other:
        case Against.STATIC:
            peak = {role: min(n, most[role]) for role, n in largest(needs(world)).items()}
            yield rehearse(replace(world, initial=peak), "static peak", Static())
        case Against.HPA:
            controller = HpaLike(per_replica=in_flight(world), most=most)
            yield rehearse(world, "hpa-like", controller, HPA_INTERVAL_S)
        case Against.CLASSIC:
            if what.classic is not None:
                upstream = Classic(
                    profile=what.classic,
                    targets=world.targets,
                    gpus=world.gpus,
                    most=max(most.values()),
                )
                yield rehearse(world, "classic", upstream)
        case Against.ORACLE:
            yield oracle(world)


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


def _begun(what: Rehearsal, start_up_s: float) -> World:
    """Return the world as it begins for everybody, within the limits."""
    world = begun(what.world.starting_in(start_up_s))
    limits = what.policy.limits
    initial = {role: limits[role].clamp(number) for role, number in world.initial.items()}
    return replace(world, initial=initial)
