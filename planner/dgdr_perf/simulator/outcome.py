"""What a simulated run came to."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Array, Requests

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A role was told to have another number of replicas."""

    at_s: float
    role: Role
    before: int
    after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """Replicas of one role over time: from ``at_s[k]`` on they are the k-th of each array."""

    at_s: Array
    ready: NDArray[np.int64]
    pending: NDArray[np.int64]
    terminating: NDArray[np.int64]

    def at(self, times_s: Array) -> NDArray[np.int64]:
        """Return the replicas that are billed at these times, in any state."""
        place = np.searchsorted(self.at_s, times_s, side="right") - 1
        everything = self.ready + self.pending + self.terminating
        return np.asarray(everything[place], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What became of requests that are finished or failed.

    Arrays have one entry per request, in order of arrival.

    Times are NaN for a request that failed, and ``itl_ms`` for one with a single token.
    ``alone_*`` are the latencies that it would have had without any other; infinite where its
    tokens do not fit into the KV cache at all.
    """

    requests: Requests
    ttft_ms: Array
    itl_ms: Array
    finish_s: Array
    failed: Flags
    alone_ttft_ms: Array
    alone_itl_ms: Array

    def within(self, ttft_ms: float, itl_ms: float) -> Flags:
        """Say which requests met both targets; one without a second token has no ITL."""
        late = np.nan_to_num(self.itl_ms, nan=0.0) > itl_ms
        return np.asarray((self.ttft_ms <= ttft_ms) & ~late & ~self.failed, dtype=np.bool_)

    def hopeless(self, ttft_ms: float, itl_ms: float) -> Flags:
        """Say which requests miss a target even on an engine of their own."""
        late = np.nan_to_num(self.alone_itl_ms, nan=0.0) > itl_ms
        return np.asarray((self.alone_ttft_ms > ttft_ms) | late, dtype=np.bool_)


# Without slots: an ``Outcome`` has two bases.
@dataclass(frozen=True, kw_only=True)
class Course:
    """What the replicas of a run did, and what they cost."""

    timelines: Mapping[Role, Timeline]
    replica_s: Mapping[Role, float]
    actions: tuple[Action, ...]
    duration_s: float

    def gpu_hours(self, gpus: Mapping[Role, int]) -> float:
        """Return what all replicas cost from creation until gone, within the duration."""
        return sum(gpus[role] * used_s for role, used_s in self.replica_s.items()) / 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Settled, Course):
    """A whole run with all of its requests."""


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts requests as they settle, so that none has to be kept.

    ``possible`` ones are not hopeless; ``within``, ``ttft_within`` and ``itl_within`` count those
    of them that met both targets, or one; ``ttft_of_all`` and ``itl_of_all`` those of all.
    """

    ttft_ms: float
    itl_ms: float
    requests: int = 0
    possible: int = 0
    failed: int = 0
    within: int = 0
    ttft_within: int = 0
    itl_within: int = 0
    ttft_of_all: int = 0
    itl_of_all: int = 0

    def __call__(self, settled: Settled) -> None:
        """Count some more."""
        possible = ~settled.hopeless(self.ttft_ms, self.itl_ms)
        self.requests += len(possible)
        self.possible += int(possible.sum())
        self.failed += int(settled.failed[possible].sum())
        self.within += int(settled.within(self.ttft_ms, self.itl_ms)[possible].sum())
        ttft_within = settled.within(self.ttft_ms, np.inf)
        itl_within = settled.within(np.inf, self.itl_ms)
        self.ttft_within += int(ttft_within[possible].sum())
        self.itl_within += int(itl_within[possible].sum())
        self.ttft_of_all += int(ttft_within.sum())
        self.itl_of_all += int(itl_within.sum())

    def share(self, count: int) -> float:
        """Return a count as a share of the possible ones; 1 where there is none."""
        return count / self.possible if self.possible else 1.0
