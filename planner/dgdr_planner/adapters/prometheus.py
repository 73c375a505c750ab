"""Samples from Prometheus, read once for all planners that ask at the same time."""

import asyncio
import math
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, TypeVar
from weakref import WeakValueDictionary

from dgdr_planner.adapters.prometheus_http import (
    MOST_BYTES,
    Server,
    Told,
    cause_of,
    untold,
)
from dgdr_planner.adapters.prometheus_session import tls_context
from dgdr_planner.observe import queries
from dgdr_planner.observe.endpoint import Endpoint
from dgdr_planner.observe.history import MOST_WINDOWS, Sample, past_windows
from dgdr_planner.observe.snapshot import (
    HISTORY_WAITS,
    GraphKey,
    Histograms,
    NoSnapshot,
    Snapshot,
    read,
    read_histograms,
    spellings,
)

# Planners whose turn comes within this time look at the same samples; scrapes are no closer.
SHARED_FOR_S = 5.0
# Of a window, so that no planner sees the same samples at two ticks: windows are an interval long
# at least, and four scrapes.
SHARED_SHARE = 0.2
# Enough for those who asked meanwhile, short enough to be over at the next tick.
FAILURE_SHARED_FOR_S = 1.0
# Histories of a thousand planners after a restart, without keeping a Prometheus from its work.
HISTORIES_AT_ONCE = 4
# For so long a pass waits for its turn; the next tick tries again. Liveness takes 180 s without an
# answer for a halt.
TURN_S = 60.0
# A client blocks its thread until there is an answer. They are each endpoint's own: nobody waits
# for another one's. Histories leave half of them to snapshots.
THREADS = 2 * HISTORIES_AT_ONCE
# For so long after a failure nobody waits for a history: planners hold without one.
FAILURE_KNOWN_FOR_S = 60.0

A = TypeVar("A")
Question = Callable[[Server], Awaitable[A]]


class _Asked(NamedTuple):
    endpoint: Endpoint
    window_s: float
    counts_only: bool


class PrometheusMetrics:
    """Implements ``ports.Metrics``."""

    def __init__(
        self,
        namespaces: Sequence[str] = (),
        shared_for_s: float = SHARED_FOR_S,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.time,
        told: Told = untold,
        turn_s: float = TURN_S,
    ) -> None:
        self._namespaces = tuple(namespaces)
        self._shared_for_s = shared_for_s
        self._most_bytes = most_bytes
        self._clock = clock
        self._told = told
        self._turn_s = turn_s
        self._shared: dict[_Asked, asyncio.Task[Snapshot | NoSnapshot]] = {}
        self._histories: WeakValueDictionary[Endpoint, asyncio.Semaphore] = WeakValueDictionary()
        self._threads: WeakValueDictionary[Endpoint, ThreadPoolExecutor] = WeakValueDictionary()
        self._failures: dict[Endpoint, NoSnapshot] = {}

    async def snapshot(
        self, endpoint: Endpoint, window_s: float, *, counts_only: bool = False
    ) -> Snapshot | NoSnapshot:
        """Return the samples of the window, at most a few seconds old."""
        asked = _Asked(endpoint, window_s, counts_only)
        task = self._shared.get(asked)
        if task is None:
            began_s = asyncio.get_running_loop().time()
            question = self._counts if counts_only else self._samples
            task = asyncio.create_task(self._ask(endpoint, partial(question, window_s)))
            self._shared[asked] = task
            task.add_done_callback(partial(self._keep, asked, began_s))
        # Shielded: a planner that gives up must not take the answer away from the others.
        return await asyncio.shield(task)

    async def history(
        self, endpoint: Endpoint, graph: GraphKey, interval_s: float, windows: int, scrape_s: float
    ) -> tuple[Sample, ...] | NoSnapshot:
        """Return the last windows of one deployment that Prometheus remembers, dated by our clock.

        Empty where it remembers none. A Prometheus that has just failed is not asked: what is
        worth a tick is worth no wait for a time-out.
        """
        most = min(windows, MOST_WINDOWS)
        question = partial(self._past, graph, interval_s, most, scrape_s)
        turns = self._histories.setdefault(endpoint, asyncio.Semaphore(HISTORIES_AT_ONCE))
        try:
            await asyncio.wait_for(turns.acquire(), self._turn_s)
        except TimeoutError:
            cause = f"{HISTORIES_AT_ONCE} at a time are read of Prometheus at {endpoint.shown}"
            return NoSnapshot(HISTORY_WAITS, f"the history waits for its turn: {cause}")
        try:
            known = self._failures.get(endpoint)
            return await self._ask(endpoint, question) if known is None else known
        finally:
            turns.release()

    def held(self) -> int:
        """How many snapshots are kept, or asked for, now."""
        return len(self._shared)

    async def close(self) -> None:
        """End the questions that are still open."""
        tasks = tuple(self._shared.values())
        self._shared.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _keep(self, asked: _Asked, began_s: float, task: "asyncio.Task[object]") -> None:
        """Keep samples while they are fresh, and a failure for a moment, counted from its end."""
        loop = asyncio.get_running_loop()
        good = not task.cancelled() and task.exception() is None
        if good and isinstance(task.result(), Snapshot):
            until_s = began_s + min(self._shared_for_s, SHARED_SHARE * asked.window_s)
        else:
            until_s = loop.time() + FAILURE_SHARED_FOR_S
        loop.call_at(until_s, self._forget, asked, task)

    def _forget(self, asked: _Asked, task: "asyncio.Task[object]") -> None:
        if self._shared.get(asked) is task:
            del self._shared[asked]

    async def _ask(self, endpoint: Endpoint, question: Question[A]) -> A | NoSnapshot:
        """Ask; every way to fail becomes a cause."""
        try:
            context = await asyncio.to_thread(tls_context, endpoint)
        except (ssl.SSLError, OSError, ValueError) as exc:
            cause = f"CA bundle, certificate or key cannot be used ({type(exc).__name__})"
            return NoSnapshot(
                "PrometheusCredentialsUnreadable", f"for Prometheus at {endpoint.shown} {cause}"
            )
        # Threads live as long as somebody asks: the dictionary does not keep them.
        threads = self._threads.setdefault(endpoint, ThreadPoolExecutor(THREADS, "prometheus"))
        try:
            answer = await question(
                Server(endpoint, context, threads, self._most_bytes, self._told)
            )
        except Exception as exc:
            return self._failed(endpoint, cause_of(endpoint, exc))
        self._failures.pop(endpoint, None)
        return answer

    def _failed(self, endpoint: Endpoint, cause: NoSnapshot) -> NoSnapshot:
        self._failures[endpoint] = cause
        loop = asyncio.get_running_loop()
        loop.call_later(FAILURE_KNOWN_FOR_S, self._forgive, endpoint, cause)
        return cause

    def _forgive(self, endpoint: Endpoint, cause: NoSnapshot) -> None:
        if self._failures.get(endpoint) is cause:
            del self._failures[endpoint]

    async def _samples(self, window_s: float, server: Server) -> Snapshot:
        """Ask at one moment, by Prometheus's own clock, for samples and histograms."""
        at_s = await _server_time(server)
        # One after the other: as JSON each takes several times as much as what is read from it.
        histograms = await self._histograms(window_s, at_s, server)
        samples = await server.query(queries.frontend_samples(self._namespaces, window_s), at_s)
        return await asyncio.to_thread(read, samples, at_s, window_s, histograms)

    async def _counts(self, window_s: float, server: Server) -> Snapshot:
        """Ask for what is counted of requests, without lengths and latencies.

        The newest sample tells the time: a look is worth one question only.
        """
        query = queries.frontend_samples(self._namespaces, window_s, queries.PLAIN)
        samples = await server.query(query)
        at_s = max((float(one["values"][-1][0]) for one in samples if one["values"]), default=0.0)
        return await asyncio.to_thread(read, samples, at_s, window_s)

    async def _histograms(
        self, window_s: float, at_s: float, server: Server
    ) -> Histograms | NoSnapshot:
        """Percentiles are worth less than the load: without them there are samples all the same."""
        query = queries.buckets(self._namespaces, window_s)
        try:
            result = await server.query(query, at_s)
            return await asyncio.to_thread(read_histograms, result)
        except Exception as exc:
            return cause_of(server.endpoint, exc)

    async def _past(
        self, graph: GraphKey, interval_s: float, windows: int, scrape_s: float, server: Server
    ) -> tuple[Sample, ...]:
        now_s = await _server_time(server)
        ahead_s = now_s - self._clock()
        window_s = queries.window_s(interval_s, scrape_s)
        query = queries.past_load(
            graph.namespace, spellings(graph.dynamo_namespace), window_s, scrape_s
        )
        end_s = math.floor(now_s)
        start_s = end_s - round((windows - 1) * interval_s)
        result = await server.query_range(query, start_s, end_s, interval_s)
        return await asyncio.to_thread(past_windows, result, window_s, ahead_s)


async def _server_time(server: Server) -> float:
    result = await server.query(queries.SERVER_TIME.render())
    return float(result[1])
