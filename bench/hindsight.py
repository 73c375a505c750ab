"""What could have been done by somebody who knew the load: bounds for a replayed planner.

**The hindsight least** of an attainment is the fewest GPU-hours of those schedules that attain it
in the simulator. A schedule is: what each interval's own load needs by our sizing, at a head-room
for each role (``FACTORS``, all pairs of them), ordered as late as the start-up allows and kept
where a new replica could not be there in time (``controllers.Oracle``). It acts at the same ticks
as a planner, from the same replicas, and pays for start-ups and drains. It is an upper bound of
the true least: schedules of another shape may be cheaper, so that a planner may cost less than it.

**Plenty** orders the most of each role at the first tick and keeps it: from there on no decision
attains more, whatever it costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dgdr_api.graph import Role
from dgdr_planner.replay.controllers import Oracle, Replicas
from dgdr_planner.replay.needs import needs
from dgdr_planner.replay.rehearsal import Rehearsed, World, rehearse
from dgdr_planner.replay.window import WindowSeen

FACTORS = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
# Over days: the needs of ten thousand intervals take half a minute at each.
FEW_FACTORS = (0.7, 0.85, 1.0, 1.15, 1.5)
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


@dataclass(slots=True)
class Needs:
    """What each interval of a world needs at each head-room; the same at every start-up."""

    world: World
    factors: tuple[float, ...] = FACTORS
    _known: dict[float, Sequence[Replicas]] = field(default_factory=dict)

    @classmethod
    def of(cls, world: World) -> "Needs":
        """Take few head-rooms for a long trace."""
        intervals = world.duration_s / world.options.interval_s
        return cls(world, FACTORS if intervals <= LONG else FEW_FACTORS)

    def at(self, factor: float) -> Sequence[Replicas]:
        """Return the replicas of each interval."""
        if factor not in self._known:
            self._known[factor] = needs(self.world, factor)
        return self._known[factor]


@dataclass(slots=True, kw_only=True)
class Hindsight:
    """Schedules of one disaggregated world at one start-up and begin, each simulated once."""

    world: World
    needs: Needs
    _known: dict[tuple[float, float], Rehearsed] = field(default_factory=dict)

    def least(self, goal: float) -> Rehearsed | None:
        """Return the cheapest schedule that attains the goal; None when none does.

        For each head-room of prefill the least of decode, of which more attains more.
        """
        best: Rehearsed | None = None
        for prefill in self.needs.factors:
            found = self._least_decode(prefill, goal)
            if found is not None and (best is None or found.gpu_hours < best.gpu_hours):
                best = found
        return best

    def _least_decode(self, prefill: float, goal: float) -> Rehearsed | None:
        factors = self.needs.factors
        low, high = -1, len(factors) - 1
        best = self._at(prefill, factors[high])
        if best.attained < goal - SAME:
            return None
        while high - low > 1:
            middle = (low + high) // 2
            found = self._at(prefill, factors[middle])
            if found.attained >= goal - SAME:
                best, high = found, middle
            else:
                low = middle
        return best

    def _at(self, prefill: float, decode: float) -> Rehearsed:
        key = prefill, decode
        if key not in self._known:
            options = self.world.options
            schedule = Oracle(
                needs=[
                    {Role.PREFILL: one[Role.PREFILL], Role.DECODE: other[Role.DECODE]}
                    for one, other in zip(
                        self.needs.at(prefill), self.needs.at(decode), strict=True
                    )
                ],
                interval_s=options.interval_s,
                start_up_s=options.start_up_s,
            )
            name = f"known load x{prefill:g} x{decode:g}"
            self._known[key] = rehearse(self.world, name, schedule)
        return self._known[key]
