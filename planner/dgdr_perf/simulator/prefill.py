"""Prefill replicas: one prompt at a time, in order of arrival."""

from collections.abc import Callable

from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.fleet import Fleet, Habits, Replica

Onward = Callable[[float, int], None]


class PrefillReplica(Replica):
    """``serving`` is the request whose prompt is computed; None when idle."""

    def __init__(self, created_s: float) -> None:
        super().__init__(created_s)
        self.serving: int | None = None


class PrefillFleet(Fleet[PrefillReplica]):
    """Queues with one server each, or one queue with many.

    ``onward(at_s, request)`` is called when a prompt is computed.
    """

    def __init__(self, habits: Habits, engine: Engine, onward: Onward) -> None:
        super().__init__(habits)
        self.onward = onward
        self.engine = engine

    def new(self, at_s: float) -> PrefillReplica:  # noqa: D102
        return PrefillReplica(at_s)

    def held(self, replica: PrefillReplica) -> int:  # noqa: D102
        return len(replica.queue) + (replica.serving is not None)

    def choose(self) -> PrefillReplica | None:  # noqa: D102
        return next((one for one in self.ready if one.serving is None), None)

    def drop(self, replica: PrefillReplica) -> list[int]:  # noqa: D102
        lost, replica.serving = replica.serving, None
        return [] if lost is None else [lost]

    def offer(self, at_s: float, replica: PrefillReplica) -> None:  # noqa: D102
        if replica.serving is not None or not replica.queue:
            return
        request = replica.serving = replica.queue.popleft()
        done_s = at_s + self.engine.prompt_s(self.habits.records.isl[request])
        self.habits.agenda.add(done_s, self._done, replica)

    def _done(self, at_s: float, replica: PrefillReplica) -> None:
        request = replica.serving
        if request is None:
            return
        replica.serving = None
        self.offer(at_s, replica)
        if replica.serving is None and not replica.draining:
            self.serve_line(at_s)
        self.settle(at_s, replica)
        self.onward(at_s, request)
