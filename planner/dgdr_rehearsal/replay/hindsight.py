"""The least that somebody could have done who knew the load, within what a spec allows.

Each role has two ladders of schedules, from few replicas to many: what each interval's own load
needs at one head-room, and the same number all the time. Prompts are late for want of prefill and
tokens for want of decode, so one run tries a rung of both roles. From the lowest rungs that do, of
each pair of ladders, both roles are raised until the targets hold at once; the cheapest is taken.
Some fifteen runs, and an upper bound: a schedule of another shape may be cheaper.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import product

from dgdr_api.graph import Role
from dgdr_rehearsal.replay.allowed import Allowed, Within
from dgdr_rehearsal.replay.controllers import Oracle
from dgdr_rehearsal.replay.needs import needs
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse

# Sizing is an approximation, and the windows of a whole trace may make up for each other.
FACTORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0)

Course = tuple[int, ...]
"""Replicas of one role in each interval."""
Rungs = Mapping[Role, int]


@dataclass(frozen=True, slots=True)
class Ladder:
    """Courses of one role, from few replicas to many, each made when it is stepped on."""

    top: int
    course: Callable[[int], Course]
    lowest: int = 0


Tried = Callable[[Mapping[Role, Course]], Rehearsed]


def hindsight(world: World, allowed: Allowed, goal: float) -> Rehearsed:
    """Rehearse with every interval's load known, at the least cost that attains the goal.

    Where nothing that is allowed attains it: what attains most.
    """
    known: dict[tuple[Course, ...], Rehearsed] = {}

    def tried(courses: Mapping[Role, Course]) -> Rehearsed:
        key = tuple(courses[role] for role in world.gpus)
        if key not in known:
            known[key] = _rehearsed(world, courses, allowed)
        return known[key]

    families = (_following(world), _steady(world, allowed))
    ways = [_from_least(ladders, tried, goal) for ladders in families]
    found = [
        _raised(dict(zip(world.gpus, pair, strict=True)), tried, goal)
        for pair in product(*([way[role] for way in ways] for role in world.gpus))
    ]
    able = [run for run in found if run.attained >= goal]
    if able:
        return min(able, key=lambda run: run.gpu_hours)
    return max(found, key=lambda run: run.attained)


def least_rungs(tops: Rungs, tried: Callable[[Rungs], Rehearsed], goal: float) -> dict[Role, int]:
    """Return the lowest rung of each role, from 0 on, where its own target holds; else the top.

    Halves the ladders of all roles at once: what one has hardly matters to the other's target.
    """
    low, high = dict.fromkeys(tops, -1), dict(tops)
    while still := [role for role in tops if high[role] - low[role] > 1]:
        at = {role: (low[role] + high[role]) // 2 if role in still else high[role] for role in tops}
        run = tried(at)
        for role in still:
            (high if own_share(run, role) >= goal else low)[role] = at[role]
    return high


def own_share(run: Rehearsed, role: Role) -> float:
    """Return the share within the target that a role answers for; a worker answers for both."""
    match role:
        case Role.PREFILL:
            return run.ttft_attained
        case Role.DECODE:
            return run.itl_attained
        case _:
            return run.attained


def _following(world: World) -> dict[Role, Ladder]:
    """Return the ladders of head-rooms over what each interval's load needs."""
    need = cache(lambda factor: needs(world, factor))

    def ladder(role: Role) -> Ladder:
        return Ladder(
            len(FACTORS) - 1, lambda rung: tuple(one[role] for one in need(FACTORS[rung]))
        )

    return {role: ladder(role) for role in world.gpus}


def _steady(world: World, allowed: Allowed) -> dict[Role, Ladder]:
    """Return the ladders of one number all the time."""
    intervals = math.ceil(world.duration_s / world.options.interval_s - 1e-9)

    def ladder(role: Role) -> Ladder:
        limits = allowed.limits[role]
        return Ladder(limits.most - limits.fewest, lambda rung: (limits.fewest + rung,) * intervals)

    return {role: ladder(role) for role in world.gpus}


def _from_least(ladders: Mapping[Role, Ladder], tried: Tried, goal: float) -> dict[Role, Ladder]:
    """Return the ladders without the rungs that are too low."""

    def at(rungs: Rungs) -> Rehearsed:
        return tried({role: ladders[role].course(rung) for role, rung in rungs.items()})

    tops = {role: ladder.top for role, ladder in ladders.items()}
    least = least_rungs(tops, at, goal)
    return {role: replace(ladder, lowest=least[role]) for role, ladder in ladders.items()}


def _raised(ladders: Mapping[Role, Ladder], tried: Tried, goal: float) -> Rehearsed:
    """Raise whichever role does worse, from the lowest rungs on, until the goal is attained."""
    at = {role: ladder.lowest for role, ladder in ladders.items()}
    while True:
        run = tried({role: ladder.course(at[role]) for role, ladder in ladders.items()})
        worse = min(ladders, key=lambda role: own_share(run, role))
        if run.attained >= goal or at[worse] == ladders[worse].top:
            return run
        at[worse] += 1


def _rehearsed(world: World, courses: Mapping[Role, Course], allowed: Allowed) -> Rehearsed:
    options = world.options
    known = Oracle(
        needs=[
            dict(zip(courses, each, strict=True)) for each in zip(*courses.values(), strict=True)
        ],
        interval_s=options.interval_s,
        start_up_s=options.start_up_s,
    )
    return rehearse(world, "oracle", Within(known, allowed))
