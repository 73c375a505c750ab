"""A work queue of keys: the watcher marks, workers run one pass per key at a time.

Why not kopf's own handlers: a pass looks at several kinds, so events of a Job, a ConfigMap and a
DGD must end up in the same pass of the same DGDR, never two at once, and a burst of them must
cost one pass.
"""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

from dgdr_kube.errors import ClusterError, Unreachable

K = TypeVar("K", bound=Hashable)


class Urgency(IntEnum):
    """Who is served first; within one of them the one that came first."""

    WANTED = 0
    """Somebody wants something else of what is there: an edit, a scale, a deletion."""
    NOTICED = 1
    """Something is new, or changed around it, or its time has come."""
    FIRST = 2
    """It was there before this process: most likely nothing is to be done."""


Waiting = tuple[Urgency, int]
"""How urgent, and since when: a number that rises."""


@dataclass(frozen=True, slots=True)
class _Again:
    """What a key that was marked during its own pass waits for after it."""

    urgency: Urgency
    after_s: float = 0.0

    def earlier(self, other: "_Again") -> "_Again":
        return _Again(min(self.urgency, other.urgency), min(self.after_s, other.after_s))


@dataclass(slots=True)
class _Running:
    """A pass that runs: since when, and when it last got an answer."""

    began_s: float
    moved_s: float


# The pass that the current task runs: only the client knows when it gets an answer.
_CURRENT: ContextVar[_Running | None] = ContextVar("running", default=None)


def moved_on() -> None:
    """Note that a call of the current pass has ended: many slow ones are no standstill."""
    if (running := _CURRENT.get()) is not None:
        running.moved_s = time.monotonic()


log = logging.getLogger(__name__)

# Of a key that failed through an outage: more would be a long wait for the first error after it,
# none a loop while each watch tells of the end.
KNOWN_FAILURES = 2
# A key that recovers after so many has seen the end of an outage, not of a conflict.
LASTING_FAILURES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long a failing key waits: doubled each time, with jitter against lock-step.

    A few keys wait ``alone_s`` at most, so that they notice soon that their cause is gone; many
    wait longer, so that all of them together make ``tries_per_s``.
    """

    first_s: float = 0.5
    alone_s: float = 12.0
    longest_s: float = 60.0
    tries_per_s: float = 4.0
    jitter: float = 0.2

    def delay_s(self, failures: int, random_unit: float, failing: int = 1) -> float:
        """Seconds to wait after so many failures in a row, of so many keys that fail."""
        longest_s = min(max(self.alone_s, failing / self.tries_per_s), self.longest_s)
        exact_s = min(self.first_s * 2.0 ** min(failures - 1, 32), longest_s)
        return exact_s * (1 + self.jitter * (2 * random_unit - 1))


def asked_for_s(error: Exception) -> float:
    """Seconds that the server asked us to wait; 0 when it did not."""
    return (error.retry_after_s or 0.0) if isinstance(error, Unreachable) else 0.0


def _unheard(_: float) -> None:
    """Nobody counts."""


class WorkQueue(Generic[K]):
    """Deduplicated keys; a key marked during its own pass runs once more after it.

    ``waited`` hears, at the start of each pass, how many seconds its key had waited for a worker.
    ``adds`` and ``retries`` count keys that came to wait, and passes that are to be tried again.
    """

    def __init__(self, workers: int = 4, name: str = "work", backoff: Backoff | None = None):
        self.name = name
        self.workers = workers
        self._backoff = backoff or Backoff()
        self._ready: asyncio.PriorityQueue[tuple[Waiting, K]] = asyncio.PriorityQueue()
        self._waiting: dict[K, Waiting] = {}
        self._numbers = itertools.count()
        self._open = asyncio.Event()
        self._open.set()
        self._running: dict[K, _Running] = {}
        self._again: dict[K, _Again] = {}
        self._held_until_s: dict[K, float] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._failures: dict[K, int] = {}
        self._jitter = random.Random()
        self._marked_s: dict[K, float] = {}
        self.waited: Callable[[float], None] = _unheard
        self.adds = 0
        self.retries = 0

    def add(self, key: K) -> None:
        """Mark a key that is wanted anew: its pass runs as soon as a worker is free.

        Only where the server itself asked us to wait, a key that failed waits so long all the same.
        """
        self._mark(key, Urgency.WANTED)

    def notice(self, key: K, urgency: Urgency = Urgency.NOTICED, *, after_s: float = 0.0) -> None:
        """Mark a key around which something changed that nobody asked for.

        What comes within ``after_s`` costs one pass. One that fails keeps its back-off: its own
        status, or a child that it makes again and again, must not bring it back at once.
        """
        if key in self._running:
            self._mark_after_pass(key, _Again(urgency, after_s))
        elif key in self._failures and key in self._timers:
            return
        elif after_s > 0:
            self.add_after(key, after_s)
        else:
            self._mark(key, urgency)

    def add_all(self, keys: Iterable[K]) -> None:
        """Mark several keys."""
        for key in keys:
            self.add(key)

    def add_after(self, key: K, delay_s: float) -> None:
        """Mark a key later; the earliest of several times wins, and ``add`` wins over all."""
        if key in self._waiting:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + delay_s
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= due:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_at(due, self._due, key)

    def retry_failed(self) -> None:
        """Run now what waits after a failure: its cause may be over.

        What fails once more waits for seconds: a server that is just back is not well yet. That it
        asked for time before counts no more.
        """
        self._held_until_s.clear()
        for key in [*self._failures]:
            self._failures[key] = min(self._failures[key], KNOWN_FAILURES)
            if key in self._timers:
                self.add(key)

    def hold(self) -> None:
        """Start no pass until ``release``: what is marked meanwhile waits, by its urgency."""
        self._open.clear()

    def release(self) -> None:
        """Let the passes start."""
        self._open.set()

    async def run(self, reconcile: Callable[[K], Awaitable[float | None]]) -> None:
        """Serve until cancelled; ``reconcile`` returns the seconds after which to look again."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.workers):
                group.create_task(self._work(reconcile), name=f"{self.name}-{number}")

    async def drain(self, reconcile: Callable[[K], Awaitable[float | None]]) -> None:
        """Run what is ready, in this task, and return; for tests and one-shot tools."""
        while not self._ready.empty():
            await self._serve(*self._ready.get_nowait(), reconcile)

    def __len__(self) -> int:
        """How many keys wait for a worker."""
        return len(self._waiting)

    def oldest_s(self) -> float:
        """Seconds since the key was marked that waits the longest; 0 when none waits."""
        # In the order of coming: a key that becomes more urgent keeps its place here.
        oldest = next(iter(self._marked_s.values()), None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def longest_pass_s(self) -> float:
        """Seconds since the oldest pass that still runs was started; 0 when none runs."""
        began_s = [one.began_s for one in self._running.values()]
        return time.monotonic() - min(began_s) if began_s else 0.0

    def longest_halt_s(self) -> float:
        """Seconds since a pass last got on, of the one that has not for the longest time."""
        moved_s = [one.moved_s for one in self._running.values()]
        return time.monotonic() - min(moved_s) if moved_s else 0.0

    async def _work(self, reconcile: Callable[[K], Awaitable[float | None]]) -> None:
        while True:
            await self._open.wait()
            await self._serve(*await self._ready.get(), reconcile)

    async def _serve(
        self, since: Waiting, key: K, reconcile: Callable[[K], Awaitable[float | None]]
    ) -> None:
        if self._waiting.get(key) != since:
            return  # it was served when it became more urgent
        del self._waiting[key]
        now_s = time.monotonic()
        running = self._running[key] = _Running(now_s, now_s)
        token = _CURRENT.set(running)
        self.waited(now_s - self._marked_s.pop(key))
        try:
            delay_s = await self._outcome(key, reconcile)
        finally:
            _CURRENT.reset(token)
            del self._running[key]
        again = self._again.pop(key, None)
        if again is not None and (again.urgency is Urgency.WANTED or key not in self._failures):
            if again.after_s > 0:
                self.add_after(key, again.after_s)
            else:
                self._mark(key, again.urgency)
        if delay_s is not None:
            self.add_after(key, delay_s)

    async def _outcome(
        self, key: K, reconcile: Callable[[K], Awaitable[float | None]]
    ) -> float | None:
        try:
            delay_s = await reconcile(key)
        except ClusterError as exc:  # a refusal, a conflict, an outage: its text says it all
            retry_s = max(self._failed(key), asked_for_s(exc))
            if asked_for_s(exc):
                now_s = asyncio.get_running_loop().time()
                self._held_until_s[key] = now_s + asked_for_s(exc)
            log.warning("%s %s: %s; again in %.1f s", self.name, key, exc, retry_s)
            return retry_s
        except Exception:  # the top of a pass: whatever it was, this key must be tried again
            retry_s = self._failed(key)
            log.exception("%s %s failed; again in %.1f s", self.name, key, retry_s)
            return retry_s
        if self._failures.pop(key, 0) >= LASTING_FAILURES:
            self.retry_failed()
        return delay_s

    def _failed(self, key: K) -> float:
        self.retries += 1
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        return self._backoff.delay_s(failures, self._jitter.random(), len(self._failures))

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self._held_until_s.pop(key, None)
        self._mark(key, Urgency.NOTICED)

    def _mark(self, key: K, urgency: Urgency) -> None:
        if (held_s := self._held_s(key)) > 0:
            self.add_after(key, held_s)
            return
        self._cancel_timer(key)
        if key in self._running:
            self._mark_after_pass(key, _Again(urgency))
        elif key not in self._waiting or urgency < self._waiting[key][0]:
            if key not in self._waiting:
                self.adds += 1
                self._marked_s[key] = time.monotonic()
            since = self._waiting[key] = (urgency, next(self._numbers))
            self._ready.put_nowait((since, key))

    def _mark_after_pass(self, key: K, mark: _Again) -> None:
        self._again[key] = self._again.get(key, mark).earlier(mark)

    def _held_s(self, key: K) -> float:
        until_s = self._held_until_s.get(key)
        return 0.0 if until_s is None else until_s - asyncio.get_running_loop().time()

    def _cancel_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
