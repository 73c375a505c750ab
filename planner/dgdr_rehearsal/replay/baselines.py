"""How a world begins for everybody, and the cheapest setting that never changes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from dgdr_api.graph import Role
from dgdr_rehearsal.replay.controllers import Replicas, Static
from dgdr_rehearsal.replay.needs import largest, needs
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse

# A static setting is worth as much as another when it attains as much but for this.
SAME = 1e-9


def begun(world: World, known: Sequence[Replicas] | None = None) -> World:
    """Return the world that begins with what nobody could add in time; ``known`` are its needs.

    At time 0 it has the replicas that any interval needs which a replica asked for then would be
    late for: no controller is judged by what came before it, and all begin alike.
    """
    options = world.options
    ahead = math.ceil(options.start_up_s / options.interval_s) + 1
    return replace(world, initial=largest((known or needs(world))[:ahead]))


@dataclass(slots=True)
class Statics:
    """Static settings of one world, each simulated once.

    Only disaggregated worlds have more than one way to spend the same GPUs; a start-up time does
    not matter to who never starts anything.
    """

    world: World
    most: Replicas
    _known: dict[tuple[tuple[Role, int], ...], Rehearsed] = field(default_factory=dict)

    def at(self, replicas: Replicas) -> Rehearsed:
        """Rehearse one setting."""
        key = tuple((role, replicas[role]) for role in self.most)
        if key not in self._known:
            fixed = replace(self.world, initial=dict(replicas))
            name = "static " + "+".join(f"{number}{role[0].upper()}" for role, number in key)
            self._known[key] = rehearse(fixed, name, Static())
        return self._known[key]

    def cheapest(self, attained: float) -> Rehearsed | None:
        """Return the setting with the fewest GPUs that attains this much; None when none does."""
        for replicas in self._by_cost():
            if self._bound(replicas) < attained - SAME:
                continue
            found = self.at(replicas)
            if found.attained >= attained - SAME:
                return found
        return None

    def _bound(self, replicas: Replicas) -> float:
        """Attainment that cannot be exceeded: one role as given, the others at their most."""
        bounds = []
        for role, number in replicas.items():
            found = self.at({**self.most, role: number})
            bounds.append(found.itl_attained if role is Role.DECODE else found.ttft_attained)
        return min(bounds)

    def _by_cost(self) -> Iterator[Replicas]:
        settings: list[dict[Role, int]] = [{}]
        for role, most in self.most.items():
            settings = [{**one, role: n} for one in settings for n in range(1, most + 1)]
        gpus = self.world.gpus
        return iter(
            sorted(settings, key=lambda one: sum(gpus[role] * n for role, n in one.items()))
        )
