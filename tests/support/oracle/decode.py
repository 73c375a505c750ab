"""Decode replicas: requests join a running batch when it has room for them until their end."""

import math
from typing import TypeVar

from dgdr_perf.simulator.engine import Engine
from support.oracle.batch import Batch
from support.oracle.fleet import Fleet, Habits, Replica


class DecodeReplica(Replica):
    """``batch`` is what the engine steps through; ``queue`` waits for room in it."""

    def __init__(self, created_s: float, batch: Batch) -> None:
        super().__init__(created_s)
        self.batch = batch


D = TypeVar("D", bound=DecodeReplica)


class DecodeFleet(Fleet[D]):
    """The first token reaches the user when a request joins a batch: its cache has arrived."""

    def __init__(self, habits: Habits, engine: Engine) -> None:
        super().__init__(habits)
        self.engine = engine

    def held(self, replica: D) -> int:
        return len(replica.queue) + len(replica.batch)

    def drop(self, replica: D) -> list[int]:
        return replica.batch.clear()

    def takes(self, replica: D, tokens: float) -> bool:
        """Whether a replica could start a request of this many tokens at once."""
        return replica.batch.fits(tokens)

    def choose(self) -> D | None:
        tokens = self._tokens(self.line[0])
        able = (one for one in self.ready if self.takes(one, tokens))
        return min(able, key=self.held, default=None)

    def submit(self, at_s: float, request: int) -> None:
        """Take a request, or refuse one that no replica could ever hold."""
        if self._tokens(request) > self.engine.max_kv_tokens:
            self.habits.records.failed(request)
            return
        super().submit(at_s, request)

    def offer(self, at_s: float, replica: D) -> None:
        batch, queue = replica.batch, replica.queue
        batch.advance(at_s)
        while queue and batch.fits(self._tokens(queue[0])):
            self._admit(at_s, replica, queue.popleft())
        self._plan(at_s, replica)

    def _admit(self, at_s: float, replica: D, request: int) -> None:
        records = self.habits.records
        records.first_token(at_s, request)
        if records.osl[request] > 1.0:
            replica.batch.join(request, records.isl[request], records.osl[request])
        else:
            records.done(at_s, request)

    def _plan(self, at_s: float, replica: D) -> None:
        due_s = replica.batch.plan(at_s)
        if due_s < math.inf:
            self.habits.agenda.add(due_s, self._leave, replica)

    def _leave(self, at_s: float, replica: D) -> None:
        batch = replica.batch
        if at_s != batch.due_s:
            return  # the batch has changed since this was put on the agenda
        self.habits.records.done(at_s, batch.leave())
        self._freed(at_s, replica)

    def _freed(self, at_s: float, replica: D) -> None:
        """Give room that has become free to whoever waits for it."""
        if replica.queue:
            self.offer(at_s, replica)
        else:
            self._plan(at_s, replica)
        if self.line and not replica.draining:
            self.serve_line(at_s)
        self.settle(at_s, replica)

    def _tokens(self, request: int) -> float:
        records = self.habits.records
        return records.isl[request] + records.osl[request]


class PlainDecodeFleet(DecodeFleet[DecodeReplica]):
    """Decode replicas that do nothing else."""

    def new(self, at_s: float) -> DecodeReplica:
        return DecodeReplica(at_s, Batch(self.engine))
