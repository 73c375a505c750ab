"""Operator and planner, put together as their programs do it, in virtual time.

What is left out of the programs: kopf, which only carries events to the handlers
(`docs/decisions/0013-kopf-is-fed.md`), HTTP servers, signals and metrics.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from dgdr_kube.candidate import Candidate, LeaseLost
from dgdr_kube.errors import NotLeading
from dgdr_kube.following import Watch, follow
from dgdr_kube.kinds import DGDSA, Kind
from dgdr_kube.kopf_feed import Feed
from dgdr_kube.ports import ChangeType, Key
from dgdr_kube.process import patiently
from dgdr_kube.remembering import RememberingCluster
from dgdr_kube.workqueue import Backoff, WorkQueue
from dgdr_operator.followed import ADAPTERS_OF_GRAPH, COLLECTIONS
from dgdr_operator.handlers import ADAPTER_RETRY_S, Handle, Heard, Queues, handlers
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.passes.orphans import sweep_orphans
from dgdr_operator.settings import Settings
from dgdr_planner import handlers as planner_handlers
from dgdr_planner.adapters.budgets import ClusterBudgets
from dgdr_planner.adapters.compute import Computing
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.adapters.profiles import ConfigMapProfiles
from dgdr_planner.adapters.switch import ConfigMapSwitch
from dgdr_planner.adapters.targets import ClusterTargets
from dgdr_planner.adapters.telemetry import Telemetry
from dgdr_planner.observer import Observer
from dgdr_planner.planner_pass import PlannerPass
from dgdr_planner.ports import Metrics
from support.planning import FakeEndpoints

from .calls import READS, Client, Line

T = TypeVar("T")

Clock = Callable[[], datetime]
Loops = list[Coroutine[Any, Any, Any]]


class Work(Protocol):
    """What a process does as long as it leads."""

    def __call__(self, client: Client, clock: Clock) -> Loops: ...


class Process:
    """Runs some work against one server; killed, it never asks anything again."""

    def __init__(self, name: str, line: Line, clock: Clock, work: Work) -> None:
        self.name = name
        self.line = line
        self.clock = clock
        self.work = work
        self._clients = [self._adopted(Client(line, name))]
        self._task: asyncio.Task[None] | None = None

    @property
    def runs(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        self._task = asyncio.create_task(self.run(), name=self.name)

    def kill(self) -> None:
        """End it as the kernel does: no answer is heard, nothing is tidied up."""
        self.cut_off()
        if self._task is not None:
            self._task.cancel()

    def cut_off(self) -> None:
        """Take its network away."""
        for client in self._clients:
            client.is_cut_off = True

    async def ended(self) -> BaseException | None:
        """Wait for its end; returns the fault that it ended by, if it did so by itself."""
        if self._task is None:
            return None
        (result,) = await asyncio.gather(self._task, return_exceptions=True)
        return None if isinstance(result, asyncio.CancelledError) else result

    async def run(self) -> None:
        await _together(self.work(self._clients[0], self.clock))

    def _adopted(self, client: Client) -> Client:
        client.process_of = self
        return client


class Contender(Process):
    """Stands for election by a Lease first, and ends when it does not lead any more."""

    async def run(self) -> None:
        leader = Candidate(
            self._clients[0],
            "system",
            "dgdr-operator",
            self.name,
            clock=asyncio.get_running_loop().time,
            now=self.clock,
        )
        fenced = self._adopted(Fenced(self.line, self.name, leader))
        self._clients.append(fenced)
        await leader.acquire()
        with suppress(LeaseLost):
            await _together([leader.keep(), *self.work(fenced, self.clock)])


class Fenced(Client):
    """Begins no write for which the Lease may not last, as ``KubeCluster`` does."""

    def __init__(self, line: Line, process: str, leader: Candidate) -> None:
        super().__init__(line, process)
        self._leader = leader

    async def _send(self, verb: str, kind: Kind, name: str, do: Callable[[], Awaitable[T]]) -> T:
        if verb not in READS and self._leader.left_s() <= 0:
            raise NotLeading(f"{verb}: another process may lead by now")
        return await super()._send(verb, kind, name, do)


async def _together(loops: Loops) -> None:
    """Run until the first of them fails."""
    async with asyncio.TaskGroup() as group:
        for loop in loops:
            group.create_task(loop)


# -- the operator


def operating(settings: Settings) -> Work:
    """Return the work of ``dgdr_operator.__main__.work``."""

    def work(client: Client, clock: Clock) -> Loops:
        loop_time = asyncio.get_running_loop().time
        feed = Feed(client, COLLECTIONS, (None,), back=lambda: queues.retry_failed())
        (adapters,) = feed.stores[DGDSA]
        steady = Backoff(jitter=0.0)
        queues = Queues(
            requests=WorkQueue(4, "dgdr", steady),
            graphs=WorkQueue(4, "dgd", steady),
            adapters=WorkQueue(4, "dgdsa", Backoff(first_s=ADAPTER_RETRY_S, jitter=0.0)),
            adapters_of=lambda graph: adapters.keys(graph.namespace, ADAPTERS_OF_GRAPH, graph.name),
        )
        watched = RememberingCluster(client, feed.stores)
        passes = (
            (queues.requests, DgdrPass(watched, settings, queues.waits, clock=loop_time)),
            (queues.graphs, GraphPass(watched, settings, loop_time)),
            (queues.adapters, AdapterPass(watched, settings)),
        )
        for queue in queues.all():
            queue.hold()
        return [
            *(queue.run(_dated(run, clock)) for queue, run in passes),
            *(_hear(feed, kind, handle) for kind, handle in handlers(queues).items()),
            _begin(feed, watched, queues),
        ]

    return work


def _dated(
    run: Callable[[Key, datetime], Coroutine[Any, Any, float | None]], clock: Clock
) -> Callable[[Key], Coroutine[Any, Any, float | None]]:
    async def reconcile(key: Key) -> float | None:
        return await run(key, clock())

    return reconcile


async def _hear(feed: Feed, kind: Kind, handle: Handle) -> None:
    """Be kopf: carry what the feed tells to the handler of its kind."""
    async for told in feed.stream(resource=kind, namespace=None):
        type_, body = told["type"], told["object"]  # type: ignore[index]
        handle(Heard(kind, body, gone=type_ == ChangeType.DELETED.value, first=type_ is None))


async def _begin(feed: Feed, watched: RememberingCluster, queues: Queues) -> None:
    await feed.listed()
    await patiently(partial(sweep_orphans, watched, None))
    queues.release()


# -- the planner


def planning(metrics: Metrics) -> Work:
    """Return the work of ``dgdr_planner.__main__``, with a Prometheus that is played."""

    def work(client: Client, clock: Clock) -> Loops:
        loop_time = asyncio.get_running_loop().time
        queue: WorkQueue[Key] = WorkQueue(4, "planner", Backoff(jitter=0.0))
        unclaimed: WorkQueue[Key] = WorkQueue(1, "budgets", Backoff(jitter=0.0))
        planners, computing = PlannerIndex(client), Computing()
        stores = planner_handlers.stores(queue, unclaimed, planners)
        cluster = RememberingCluster(client, {kind: (store,) for kind, store in stores.items()})
        targets = ClusterTargets(cluster)
        budgets = ClusterBudgets(client, planners, clock)
        run = PlannerPass(
            cluster=cluster,
            observer=Observer(
                metrics=metrics,
                targets=targets,
                planners=planners,
                budgets=budgets,
                switch=ConfigMapSwitch(cluster, "system", loop_time),
                endpoints=FakeEndpoints(),
                computing=computing,
                scrape_interval_s=5,
            ),
            profiles=ConfigMapProfiles(cluster, loop_time),
            targets=targets,
            budgets=budgets,
            telemetry=Telemetry(),
            computing=computing,
            clock=clock,
            uniform=lambda least, most: (least + most) / 2.0,
        )
        return [
            queue.run(run),
            unclaimed.run(budgets.settle),
            *(follow(client, kind, None, store, watch=Watch()) for kind, store in stores.items()),
        ]

    return work
