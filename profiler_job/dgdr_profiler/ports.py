"""What the run needs from outside."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dgdr_api.graph import Graph
from dgdr_api.points import Point
from dgdr_profiler.core.candidate import EngineFacts, Fetched
from dgdr_profiler.core.cells import Call
from dgdr_profiler.core.journal import Entry, Reused
from dgdr_profiler.core.measured import Measured
from dgdr_profiler.core.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a finished run leaves: texts and binaries by key."""

    texts: Mapping[str, str]
    binaries: Mapping[str, bytes] = field(default_factory=dict)
    message: str = ""


Tell = Callable[[float, str], Awaitable[None]]
"""Hears for how many seconds something has been waited for, and why."""

Show = Callable[[Progress], Awaitable[None]]
"""Shows a user where the Job stands."""


class Deployments(Protocol):
    """Brings graphs up and takes them down."""

    async def deploy(self, graph: Graph, model: str, tell: Tell) -> EngineFacts:
        """Deploy a graph, or adopt it where it stands already, and wait until it serves.

        Raises:
            CandidateFailed: it does not come up; the message says why.
        """
        ...

    async def retire(self, graph: Graph, patience_s: float) -> str | None:
        """Delete a graph and wait until its pods are gone.

        Returns:
            What is still there after ``patience_s``; None when all is gone.
        """
        ...

    async def fetched(self, graph: Graph, parts: int) -> Fetched | None:
        """Return what a pair's decode engine says of the KV caches that it fetched, if it does.

        Each of ``parts`` of the engine fetches its share of a prompt.
        """
        ...

    async def serves(self, graph: Graph, model: str) -> bool:
        """Whether a graph that stands still answers."""
        ...

    async def standing(self, graph: Graph) -> bool:
        """Whether the graph is there, left by an earlier pod of the Job."""
        ...


class LoadTool(Protocol):
    """Drives load."""

    async def measure(self, graph: Graph, model: str, call: Call) -> Measured:
        """Make one call against a graph that serves.

        Raises:
            MeasurementFailed: no result.
        """
        ...


class Records(Protocol):
    """Keeps what must outlive the pod."""

    def spent_s(self, now: datetime) -> float:
        """Return how long ago the first pod of this run began."""
        ...

    async def points(self) -> tuple[Point, ...]:
        """Return the points that are stored for this run."""
        ...

    async def add(self, points: tuple[Point, ...]) -> None:
        """Store points at once, all or none."""
        ...

    async def measured_elsewhere(self, engine: str) -> tuple[Reused, ...]:
        """Return the points that other requests of the namespace measured on that engine."""
        ...

    async def entries(self) -> tuple[Entry, ...]:
        """Return rejections and failures of all pods of this run, and every stay of the request."""
        ...

    async def enter(self, entry: Entry) -> None:
        """Store an entry at once; one of the same key is replaced."""
        ...

    async def show(self, progress: Progress) -> None:
        """Show where the run stands."""
        ...

    async def succeed(self, result: Result) -> None:
        """Store the result in one write."""
        ...

    async def fail(self, message: str) -> None:
        """Say that the run failed, and why."""
        ...
