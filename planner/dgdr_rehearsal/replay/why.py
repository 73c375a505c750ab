"""Why requests were late: each interval's misses by the cause that explains most of them.

What an interval needs is what sizing says of its own load, as hindsight has it. Of the roles that
had less than that ready, the one that had the least share of it speaks.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from dgdr_perf.simulator.arrivals import Array
from dgdr_perf.simulator.outcome import Timeline
from dgdr_perf.sizing import Workload
from dgdr_rehearsal.replay.controllers import Replicas
from dgdr_rehearsal.replay.needs import loads, need_of
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World

# A role that had enough so long ago has given it back for other reasons than haste.
GAVE_BACK_S = 900.0
# Parts of an interval in which a burst is looked for.
PARTS = 4
# Share of an interval's requests that are late while a queue of the interval before is served.
FOLLOWS = 0.05


class Cause(StrEnum):
    """What most of an interval's late requests were late for."""

    START = "start"
    """The run had just begun: nobody could have had more."""
    RISE = "rise"
    """More came than was ordered for in time."""
    GAVE_BACK = "gave back early"
    """There had been enough within the quarter of an hour before."""
    LIMIT = "limit"
    """The spec allows no more."""
    BURST = "burst inside a window"
    """Enough for the interval's load, not for that of its fullest quarter."""
    SIZING = "sizing"
    """As many were ready as sizing asks for."""
    ALONE = "late even alone"
    """No number of replicas helps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Points of all requests that were late, by cause, and GPU-hours by what they were for."""

    points: Mapping[Cause, float]
    needed_gpu_hours: float
    starting_gpu_hours: float
    spare_gpu_hours: float


@dataclass(frozen=True, slots=True)
class _Interval:
    """One interval: its place, its load, what it needs, and what of each role was ready."""

    number: int
    load: Workload | None
    need: Replicas
    ready: Replicas


def why(world: World, run: Rehearsed, most: Replicas) -> Why:
    """Attribute what a run missed, and what it spent; ``most`` is what the spec allows."""
    seen = list(_intervals(world, run))
    points = dict.fromkeys(Cause, 0.0)
    share = 100.0 / max(run.requests, 1)
    points[Cause.ALONE] = share * run.hopeless
    before: Cause | None = None
    for interval in seen:
        late = float(run.late[interval.number])
        if late == 0.0:
            before = None
            continue
        arrived = interval.load.rate_per_s * world.options.interval_s if interval.load else late
        cause = _short(world, run, seen, interval, most)
        if cause is None:
            follows = before is not None and late > FOLLOWS * arrived
            cause = before if before is not None and follows else _enough(world, interval)
        points[cause] += late * share
        before = cause if late > FOLLOWS * arrived else None
    return Why(points=points, **_hours(world, run, seen))


def _intervals(world: World, run: Rehearsed) -> Iterator[_Interval]:
    interval_s = world.options.interval_s
    for number, load in enumerate(loads(world)):
        ready = {
            role: _least(line, number * interval_s, (number + 1) * interval_s)
            for role, line in run.timelines.items()
        }
        yield _Interval(number, load, need_of(world, load), ready)


def _least(line: Timeline, begin_s: float, end_s: float) -> int:
    """Return the fewest replicas that were ready in this time."""
    first = max(int(np.searchsorted(line.at_s, begin_s, side="right")) - 1, 0)
    last = max(int(np.searchsorted(line.at_s, end_s, side="left")), first + 1)
    return int(line.ready[first:last].min())


def _short(
    world: World, run: Rehearsed, seen: Sequence[_Interval], now: _Interval, most: Replicas
) -> Cause | None:
    """Return why a role had too little; None where all had enough."""
    short = [role for role in now.need if now.ready[role] < now.need[role]]
    if not short:
        return None
    role = min(short, key=lambda one: now.ready[one] / now.need[one])
    if most[role] < now.need[role]:
        return Cause.LIMIT
    interval_s = world.options.interval_s
    if now.number * interval_s < interval_s + run.start_up_s:
        return Cause.START
    lately = seen[max(now.number - math.ceil(GAVE_BACK_S / interval_s), 0) : now.number]
    had = any(one.ready[role] >= now.need[role] for one in lately)
    return Cause.GAVE_BACK if had else Cause.RISE


def _enough(world: World, now: _Interval) -> Cause:
    """Return why requests were late although all roles had what the interval needs."""
    if now.load is None:
        return Cause.SIZING
    interval_s = world.options.interval_s
    edges = interval_s * (now.number + np.linspace(0.0, 1.0, PARTS + 1))
    counts: Array = np.diff(np.searchsorted(world.requests.arrival_s, edges))
    fullest = replace(now.load, rate_per_s=float(counts.max()) * PARTS / interval_s)
    need = need_of(world, fullest)
    return Cause.BURST if any(now.ready[role] < need[role] for role in need) else Cause.SIZING


def _hours(world: World, run: Rehearsed, seen: Sequence[_Interval]) -> dict[str, float]:
    """Return GPU-hours that the load needed, that started or drained, and the rest."""
    needed = ready = 0.0
    for interval in seen:
        begin_s = interval.number * world.options.interval_s
        hours = min(world.options.interval_s, world.duration_s - begin_s) / 3600.0
        for role, gpus in world.gpus.items():
            ready += gpus * hours * interval.ready[role]
            needed += gpus * hours * min(interval.ready[role], interval.need[role])
    return {
        "needed_gpu_hours": needed,
        "spare_gpu_hours": ready - needed,
        "starting_gpu_hours": max(run.gpu_hours - ready, 0.0),
    }
