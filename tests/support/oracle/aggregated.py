"""Aggregated replicas: one engine computes prompts and tokens in turn, prompts first.

While a prompt is computed no step is done, so the tokens of the running batch are late by it: what
an engine without chunked prefill does. Attention ranks compute a prompt each, and wait for each
other before they step.
"""

import math

from support.oracle.batch import Batch
from support.oracle.decode import DecodeFleet, DecodeReplica


class Worker(DecodeReplica):
    """``serving`` are the requests whose prompts are computed; the batch steps when it is empty."""

    def __init__(self, created_s: float, batch: Batch) -> None:
        super().__init__(created_s, batch)
        self.serving: list[int] = []


class AggregatedFleet(DecodeFleet[Worker]):
    """A prompt starts as soon as a rank is free and its request has room until its end."""

    def new(self, at_s: float) -> Worker:
        return Worker(at_s, Batch(self.engine))

    def held(self, replica: Worker) -> int:
        return super().held(replica) + len(replica.serving)

    def takes(self, replica: Worker, tokens: float) -> bool:
        serving = replica.serving
        if len(serving) >= self.engine.ranks:
            return False
        promised = sum(self._tokens(request) for request in serving)
        room = len(replica.batch) + len(serving) < self.engine.max_batch
        return room and super().takes(replica, promised + tokens)

    def drop(self, replica: Worker) -> list[int]:
        lost, replica.serving = replica.serving, []
        return super().drop(replica) + lost

    def offer(self, at_s: float, replica: Worker) -> None:
        batch, queue = replica.batch, replica.queue
        if not replica.serving:
            batch.advance(at_s)
        while queue and self.takes(replica, self._tokens(queue[0])):
            request = queue.popleft()
            replica.serving.append(request)
            done_s = at_s + self.habits.records.prompt_s[request]
            self.habits.agenda.add(done_s, self._prompted, (replica, request))
        self._plan(at_s, replica)

    def _plan(self, at_s: float, replica: Worker) -> None:
        if replica.serving:
            replica.batch.due_s = math.inf
        else:
            super()._plan(at_s, replica)

    def _prompted(self, at_s: float, what: tuple[Worker, int]) -> None:
        replica, request = what
        if request not in replica.serving:
            return  # the replica died meanwhile
        replica.serving.remove(request)
        replica.batch.skip(at_s)
        self._admit(at_s, replica, request)
        self._freed(at_s, replica)
