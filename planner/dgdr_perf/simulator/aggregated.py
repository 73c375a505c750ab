"""Aggregated replicas: one engine computes prompts and tokens in turn, prompts first.

While a prompt is computed no step is done, so the tokens of the running batch are late by it:
what an engine without chunked prefill does.
"""

import math

from dgdr_perf.simulator.batch import Batch
from dgdr_perf.simulator.decode import DecodeFleet, DecodeReplica


class Worker(DecodeReplica):
    """``serving`` is the request whose prompt is computed; None while the batch steps."""

    def __init__(self, created_s: float, batch: Batch) -> None:
        super().__init__(created_s, batch)
        self.serving: int | None = None


class AggregatedFleet(DecodeFleet[Worker]):
    """A prompt starts as soon as its request has room until its end."""

    def new(self, at_s: float) -> Worker:  # noqa: D102
        return Worker(at_s, Batch(self.engine))

    def held(self, replica: Worker) -> int:  # noqa: D102
        return super().held(replica) + (replica.serving is not None)

    def takes(self, replica: Worker, tokens: float) -> bool:  # noqa: D102
        return replica.serving is None and super().takes(replica, tokens)

    def drop(self, replica: Worker) -> list[int]:  # noqa: D102
        lost, replica.serving = replica.serving, None
        return super().drop(replica) + ([] if lost is None else [lost])

    def offer(self, at_s: float, replica: Worker) -> None:  # noqa: D102
        if replica.serving is not None:
            return
        batch, queue = replica.batch, replica.queue
        batch.advance(at_s)
        if not queue or not batch.fits(self._tokens(queue[0])):
            self._plan(at_s, replica)
            return
        request = replica.serving = queue.popleft()
        batch.due_s = math.inf
        done_s = at_s + self.engine.prompt_s(self.habits.records.isl[request])
        self.habits.agenda.add(done_s, self._prompted, replica)

    def _prompted(self, at_s: float, replica: Worker) -> None:
        request = replica.serving
        if request is None:
            return  # the replica died meanwhile
        replica.serving = None
        replica.batch.skip(at_s)
        self._admit(at_s, replica, request)
        self._freed(at_s, replica)
