"""Prefill replicas: one prompt at a time on each attention rank, in order of arrival.

An engine of several ranks gives the next prompt to the first that is free, as engines do that
balance their ranks themselves.
"""

from collections.abc import Callable

from dgdr_perf.simulator.engine import Engine
from support.oracle.fleet import Fleet, Habits, Replica

Onward = Callable[[float, int], None]


class PrefillReplica(Replica):
    """``serving`` are the requests whose prompts are computed, in the order of their start."""

    def __init__(self, created_s: float) -> None:
        super().__init__(created_s)
        self.serving: list[int] = []


class PrefillFleet(Fleet[PrefillReplica]):
    """Queues with one server each, or one queue with many.

    ``onward(at_s, request)`` is called when a prompt is computed.
    """

    def __init__(self, habits: Habits, engine: Engine, onward: Onward) -> None:
        super().__init__(habits)
        self.onward = onward
        self.engine = engine

    def new(self, at_s: float) -> PrefillReplica:
        return PrefillReplica(at_s)

    def held(self, replica: PrefillReplica) -> int:
        return len(replica.queue) + len(replica.serving)

    def choose(self) -> PrefillReplica | None:
        return next((one for one in self.ready if self._has_room(one)), None)

    def drop(self, replica: PrefillReplica) -> list[int]:
        lost, replica.serving = replica.serving, []
        return lost

    def offer(self, at_s: float, replica: PrefillReplica) -> None:
        while replica.queue and self._has_room(replica):
            request = replica.queue.popleft()
            replica.serving.append(request)
            done_s = at_s + self.habits.records.prompt_s[request]
            self.habits.agenda.add(done_s, self._done, (replica, request))

    def _has_room(self, replica: PrefillReplica) -> bool:
        return len(replica.serving) < self.engine.ranks

    def _done(self, at_s: float, what: tuple[PrefillReplica, int]) -> None:
        replica, request = what
        if request not in replica.serving:
            return  # the replica died meanwhile
        replica.serving.remove(request)
        self.offer(at_s, replica)
        if self._has_room(replica) and not replica.draining:
            self.serve_line(at_s)
        self.settle(at_s, replica)
        self.onward(at_s, request)
