"""What could have been done by somebody who knew the load: bounds for a replayed planner.

**The hindsight least** of an attainment is the fewest GPU-hours of those schedules that attain it
in the simulator. Each role has a course of its own: either what each interval's own load needs by
our sizing, at one of ``FACTORS`` of head-room, or the same number all the time (``LEVELS``). All
pairs of courses count, from 1+1 each also with at least one of ``BOOSTS`` of both roles in the
first minutes. Replicas are ordered as late as the start-up allows and kept where a new one could
not be there in time (``controllers.Oracle``); a schedule acts at the same ticks as a planner, from
the same replicas, and pays for start-ups and drains. It is an upper bound of the true least:
schedules of another shape may be cheaper, so that a planner may cost less than it.

**Plenty** orders the most of each role at the first tick and keeps it: from there on no decision
attains more, whatever it costs.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

from dgdr_api.graph import Role
from dgdr_rehearsal.replay.controllers import Oracle, Replicas
from dgdr_rehearsal.replay.needs import needs
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse
from dgdr_rehearsal.replay.window import WindowSeen

FACTORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
# Over days: the needs of ten thousand intervals take half a minute at each.
FEW_FACTORS = (0.7, 0.85, 1.0, 1.15, 1.5)
LEVELS = (*range(1, 17), 18, 20, 22, 24, 28, 32, 40, 48, 64)
# From 1+1: what waits after the first start-up is served within so many intervals.
BOOSTS = (0, 6, 12, 24, 64)
BOOSTED = 4
# More intervals than this make a long trace.
LONG = 2000
# An attainment is reached when it is missed by less than a request in a million.
SAME = 1e-6


@dataclass(frozen=True, slots=True)
class Plenty:
    """Wants as many of each role, always."""

    replicas: Replicas

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return the same."""
        return self.replicas


def plenty(world: World, most: int) -> Rehearsed:
    """Rehearse who orders the most of each role at the first tick."""
    return rehearse(world, "plenty", Plenty(dict.fromkeys(world.gpus, most)))


@dataclass(frozen=True, slots=True)
class Course:
    """Replicas of one role in each interval. ``hours``: no schedule with it costs less."""

    name: str
    replicas: tuple[int, ...]
    hours: float


@dataclass(slots=True)
class Courses:
    """Courses of both roles in one world; the same at every start-up and begin."""

    world: World
    factors: tuple[float, ...] = FACTORS
    _known: dict[Role, tuple[list[Course], list[Course]]] = field(default_factory=dict)

    @classmethod
    def of(cls, world: World) -> "Courses":
        """Take few head-rooms for a long trace."""
        intervals = world.duration_s / world.options.interval_s
        return cls(world, FACTORS if intervals <= LONG else FEW_FACTORS)

    def families(self, role: Role) -> tuple[list[Course], list[Course]]:
        """Return those that follow the load and those that do not, each from few to many."""
        if not self._known:
            every = {factor: needs(self.world, factor) for factor in self.factors}
            intervals = len(every[1.0])
            for each in self.world.gpus:
                follow = [
                    self._course(f"x{factor:g}", each, [need[each] for need in found])
                    for factor, found in every.items()
                ]
                still = [self._course(f"{n}", each, [n] * intervals) for n in LEVELS]
                self._known[each] = follow, still
        return self._known[role]

    def _course(self, name: str, role: Role, replicas: Sequence[int]) -> Course:
        # The first interval is nobody's choice.
        used_s = sum(replicas[1:]) * self.world.options.interval_s
        return Course(name, tuple(replicas), self.world.gpus[role] * used_s / 3600.0)


@dataclass(slots=True, kw_only=True)
class Hindsight:
    """Schedules of one disaggregated world at one start-up and begin, each simulated once.

    ``boosts``: numbers of each role that are there at least for the first minutes after start-up.
    """

    world: World
    courses: Courses
    boosts: tuple[int, ...] = (0,)
    _known: dict[tuple[str, str, int], Rehearsed] = field(default_factory=dict)

    def least(self, goal: float) -> Rehearsed | None:
        """Return the cheapest schedule that attains the goal; None when none does.

        For each course of prefill the least of decode, of which more attains more; what cannot be
        cheaper than the best so far is not tried.
        """
        best: Rehearsed | None = None
        prefills = [one for family in self.courses.families(Role.PREFILL) for one in family]
        for boost, prefill in product(self.boosts, prefills):
            for family in self.courses.families(Role.DECODE):
                limit = math.inf if best is None else best.gpu_hours - prefill.hours
                able = [one for one in family if one.hours < limit]
                found = self._least_decode(prefill, able, boost, goal)
                if found is not None and (best is None or found.gpu_hours < best.gpu_hours):
                    best = found
        return best

    def _least_decode(
        self, prefill: Course, able: Sequence[Course], boost: int, goal: float
    ) -> Rehearsed | None:
        if not able or self._at(prefill, able[-1], boost).attained < goal - SAME:
            return None
        low, high = -1, len(able) - 1
        while high - low > 1:
            middle = (low + high) // 2
            enough = self._at(prefill, able[middle], boost).attained >= goal - SAME
            low, high = (low, middle) if enough else (middle, high)
        return self._at(prefill, able[high], boost)

    def _at(self, prefill: Course, decode: Course, boost: int) -> Rehearsed:
        key = prefill.name, decode.name, boost
        if key not in self._known:
            options = self.world.options
            boosted = math.ceil(options.start_up_s / options.interval_s) + BOOSTED
            least = [boost] * boosted + [0] * len(prefill.replicas)
            schedule = Oracle(
                needs=[
                    {Role.PREFILL: max(one, floor), Role.DECODE: max(other, floor)}
                    for one, other, floor in zip(
                        prefill.replicas, decode.replicas, least, strict=False
                    )
                ],
                interval_s=options.interval_s,
                start_up_s=options.start_up_s,
            )
            self._known[key] = rehearse(self.world, f"known load {key}", schedule)
        return self._known[key]
