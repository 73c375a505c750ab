"""What each interval of a trace needs when its load is known."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Array
from dgdr_perf.sizing import Workload, size_aggregated, size_decode, size_prefill
from dgdr_rehearsal.replay.controllers import Replicas
from dgdr_rehearsal.replay.rehearsal import World

# Shares at which a distribution of lengths is told; the ends count too.
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)


def loads(world: World) -> list[Workload | None]:
    """Return the load of each interval; None where nothing arrives."""
    requests, interval_s = world.requests, world.options.interval_s
    end_s = world.options.duration_s or float(requests.arrival_s[-1])
    edges = interval_s * np.arange(math.ceil(end_s / interval_s - 1e-9) + 1)
    places = np.searchsorted(requests.arrival_s, edges)
    places[-1] = len(requests)
    found: list[Workload | None] = []
    for first, last in pairwise(places.tolist()):
        isl, osl = requests.isl[first:last], requests.osl[first:last]
        if not isl.size:
            found.append(None)
            continue
        found.append(
            Workload(
                rate_per_s=(last - first) / interval_s,
                isl=float(isl.mean()),
                osl=float(osl.mean()),
                isl_quantiles=_quantiles(isl),
                osl_quantiles=_quantiles(osl),
            )
        )
    return found


def _quantiles(lengths: Array) -> tuple[tuple[float, float], ...]:
    return tuple(zip(SHARES, np.quantile(lengths, SHARES).tolist(), strict=True))


def needs(world: World, factor: float = 1.0) -> list[Replicas]:
    """Return the replicas that each interval needs at ``factor`` times its load."""
    return [need_of(world, load, factor) for load in loads(world)]


def largest(found: Sequence[Replicas]) -> Replicas:
    """Return the most of each role."""
    return {role: max(need[role] for need in found) for role in found[0]}


def need_of(world: World, load: Workload | None, factor: float = 1.0) -> Replicas:
    """Return the replicas that a load needs; one of each for none."""
    roles = tuple(world.gpus)
    if load is None:
        return dict.fromkeys(roles, 1)
    scaled = replace(load, rate_per_s=factor * load.rate_per_s)
    return {role: max(_size(world, role, scaled), 1) for role in roles}


def _size(world: World, role: Role, load: Workload) -> int:
    match role:
        case Role.PREFILL:
            return size_prefill(world.profile, load, world.targets, world.options.dispatch).replicas
        case Role.DECODE:
            return size_decode(world.profile, load, world.targets).replicas
        case _:
            return size_aggregated(
                world.profile, load, world.targets, world.options.dispatch
            ).replicas
