"""Controllers that are not ours: what others do, and what could be done at best."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from dgdr_api.graph import Role
from dgdr_rehearsal.replay.window import WindowSeen

Replicas = Mapping[Role, int]


class Controller(Protocol):
    """Chooses replicas at the end of an interval; roles that are left out stay as they are."""

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return the replicas to have."""


@dataclass(frozen=True, slots=True)
class Static:
    """Never changes anything."""

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return nothing."""
        return {}


@dataclass(slots=True, kw_only=True)
class HpaLike:
    """A HorizontalPodAutoscaler on the requests that each replica has, waiting or running.

    ``per_replica`` is the target average. As in Kubernetes: no change within a tenth of the
    target, up at once, down to the highest recommendation of the last five minutes.
    """

    per_replica: Mapping[Role, float]
    most: Mapping[Role, int]
    window_s: float = 300.0
    tolerance: float = 0.1
    _past: dict[Role, list[tuple[float, int]]] = field(default_factory=dict)

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return the highest recommendation that still counts, for each role."""
        return {role: self._replicas(role, seen) for role in seen.roles}

    def _replicas(self, role: Role, seen: WindowSeen) -> int:
        counts = seen.roles[role]
        wanted = (counts.waiting + counts.running) / self.per_replica[role]
        current = max(counts.replicas, 1)
        steady = abs(wanted / current - 1.0) <= self.tolerance
        advised = min(max(current if steady else math.ceil(wanted), 1), self.most[role])
        past = self._past.setdefault(role, [])
        past.append((seen.t_s, advised))
        past[:] = [one for one in past if one[0] > seen.t_s - self.window_s]
        return max(min(max(number for _, number in past), current), advised)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """Knows the load of every interval, and that a replica takes ``start_up_s``.

    ``needs`` holds the replicas that each interval needs. A replica is asked for as late as it
    can be to be ready in time, and kept where a new one in its place would not be.
    """

    needs: Sequence[Replicas]
    interval_s: float
    start_up_s: float

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return the most that any interval needs which a later decision could not serve."""
        now = round(seen.t_s / self.interval_s)
        ahead = self.needs[now : now + math.ceil(self.start_up_s / self.interval_s) + 1]
        if not ahead:
            return {}
        return {role: max(need[role] for need in ahead) for role in ahead[0]}
