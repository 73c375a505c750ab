"""Replicas of one role: created, ready, draining, gone; and what they cost."""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from dgdr_perf.queueing import Dispatch
from dgdr_perf.simulator.fleet import Counts
from support.oracle.agenda import Agenda
from support.oracle.records import Records


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """What all fleets of a world have in common, and the world's way to find a replica."""

    agenda: Agenda
    records: Records
    dispatch: Dispatch
    start_up_s: float
    drain_s: float
    rng: np.random.Generator


class Replica:
    """One engine of a fleet; ``queue`` holds requests that wait for this one."""

    def __init__(self, created_s: float) -> None:
        self.created_s = created_s
        self.gone_s: float | None = None
        self.draining = False
        self.queue: deque[int] = deque()


R = TypeVar("R", bound=Replica)


class Fleet(ABC, Generic[R]):
    """Replicas and the line in front of them."""

    def __init__(self, habits: Habits) -> None:
        self.habits = habits
        self.line: deque[int] = deque()
        self.pending: list[R] = []
        self.ready: list[R] = []
        self.leaving: list[R] = []
        self.all: list[R] = []
        self.history: list[tuple[float, int, int, int]] = []
        self._turn = 0

    @abstractmethod
    def new(self, at_s: float) -> R:
        """Return a replica that has nothing to do."""

    @abstractmethod
    def held(self, replica: R) -> int:
        """Count the requests that a replica has taken."""

    @abstractmethod
    def offer(self, at_s: float, replica: R) -> None:
        """Let a replica start what it can of what waits for it."""

    @abstractmethod
    def drop(self, replica: R) -> list[int]:
        """Take everything away from a replica; return the requests that it was serving."""

    @abstractmethod
    def choose(self) -> R | None:
        """Return the replica that takes the next of the common line; None when none can."""

    def submit(self, at_s: float, request: int) -> None:
        """Take a request."""
        if not self.ready or self.habits.dispatch is Dispatch.SHARED:
            self.line.append(request)
            self.serve_line(at_s)
            return
        replica = self._split()
        replica.queue.append(request)
        self.offer(at_s, replica)

    def serve_line(self, at_s: float) -> None:
        """Hand out the common line, as far as replicas can take it."""
        while self.line:
            if self.habits.dispatch is Dispatch.SHARED:
                replica = self.choose()
            else:
                replica = self._split() if self.ready else None
            if replica is None:
                return
            replica.queue.append(self.line.popleft())
            self.offer(at_s, replica)

    def scale(self, at_s: float, replicas: int) -> None:
        """Create or take away replicas: pending ones first, then those with the least to do."""
        for _ in range(replicas - len(self.ready) - len(self.pending)):
            self._create(at_s)
        surplus = len(self.ready) + len(self.pending) - replicas
        for replica in self.pending[max(len(self.pending) - surplus, 0) :]:
            self._remove(at_s, replica, self.pending)
        # Of equals the newest goes, as in a ReplicaSet.
        least_first = sorted(reversed(self.ready), key=self.held)
        for replica in least_first[: max(len(self.ready) - replicas, 0)]:
            self._drain(at_s, replica)
        self._note(at_s)

    def begin(self, replicas: int) -> None:
        """Have replicas that are ready from the start."""
        for _ in range(replicas):
            replica = self.new(0.0)
            self.all.append(replica)
            self.ready.append(replica)
        self._note(0.0)

    def fail(self, at_s: float) -> None:
        """Let one ready replica die with what it holds, and create another in its place."""
        if not self.ready:
            return
        replica = self.ready[int(self.habits.rng.random() * len(self.ready))]
        self._remove(at_s, replica, self.ready)
        self._create(at_s)
        self._note(at_s)

    def settle(self, at_s: float, replica: R) -> None:
        """Let a replica go that drains and has nothing left."""
        if replica.draining and replica.gone_s is None and not self.held(replica):
            self._remove(at_s, replica, self.leaving)
            self._note(at_s)

    def counts(self) -> Counts:
        """Count replicas and requests as they are now."""
        waiting = len(self.line) + sum(len(replica.queue) for replica in self.all_alive())
        held = sum(self.held(replica) for replica in self.all_alive())
        return Counts(
            ready=len(self.ready),
            pending=len(self.pending),
            terminating=len(self.leaving),
            waiting=waiting,
            running=held - (waiting - len(self.line)),
        )

    def all_alive(self) -> list[R]:
        """Return the replicas that can hold requests."""
        return self.ready + self.leaving

    def billed_s(self, until_s: float) -> float:
        """Sum the seconds from creation until gone, drains included."""
        ends = (until_s if one.gone_s is None else min(one.gone_s, until_s) for one in self.all)
        return sum(max(end - one.created_s, 0.0) for end, one in zip(ends, self.all, strict=True))

    def _split(self) -> R:
        if self.habits.dispatch is Dispatch.RANDOM:
            return self.ready[int(self.habits.rng.random() * len(self.ready))]
        self._turn += 1
        return self.ready[self._turn % len(self.ready)]

    def _create(self, at_s: float) -> None:
        replica = self.new(at_s)
        self.all.append(replica)
        self.pending.append(replica)
        self.habits.agenda.add(at_s + self.habits.start_up_s, self._started, replica)

    def _started(self, at_s: float, replica: R) -> None:
        if replica.gone_s is not None:
            return
        self.pending.remove(replica)
        self.ready.append(replica)
        self._note(at_s)
        self.serve_line(at_s)

    def _drain(self, at_s: float, replica: R) -> None:
        self.ready.remove(replica)
        self.leaving.append(replica)
        replica.draining = True
        if self.habits.drain_s < float("inf"):
            self.habits.agenda.add(at_s + self.habits.drain_s, self._killed, replica)
        self.settle(at_s, replica)

    def _killed(self, at_s: float, replica: R) -> None:
        if replica.gone_s is None:
            self._remove(at_s, replica, self.leaving)
            self._note(at_s)

    def _remove(self, at_s: float, replica: R, group: list[R]) -> None:
        group.remove(replica)
        replica.gone_s = at_s
        for request in (*self.drop(replica), *replica.queue):
            self.habits.records.failed(request)
        replica.queue.clear()

    def _note(self, at_s: float) -> None:
        now = (at_s, len(self.ready), len(self.pending), len(self.leaving))
        if self.history and self.history[-1][0] == at_s:
            self.history.pop()
        self.history.append(now)
