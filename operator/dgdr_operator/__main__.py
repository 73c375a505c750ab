"""``python -m dgdr_operator``: watch, work, answer health checks; exit when any of them ends."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import kopf
from prometheus_client import CollectorRegistry

from dgdr_kube import kopf_settings
from dgdr_kube.client import KubeCluster
from dgdr_kube.crd_check import StartRefused, require_crds
from dgdr_kube.depth import allow_depth
from dgdr_kube.kinds import DGD, DGDR, DGDSA, GPU_BUDGET
from dgdr_kube.kopf_feed import Feed
from dgdr_kube.leading import Leader, lead, standing
from dgdr_kube.metrics import KubeMetrics
from dgdr_kube.namespace_scope import NamespaceScope
from dgdr_kube.pace import Pace
from dgdr_kube.pass_record import Reconcile, Result, recorded
from dgdr_kube.ports import Cluster, Key, WatchedCluster, Watching
from dgdr_kube.process import heartbeat, patiently, run_together, until_told
from dgdr_kube.remembering import RememberingCluster
from dgdr_kube.served import AS_NAMED, Mode, Served, borrowed, discovered, installed
from dgdr_kube.served_cluster import through
from dgdr_kube.serving import Health, application, start
from dgdr_kube.workqueue import WorkQueue
from dgdr_operator.followed import ADAPTERS_OF_GRAPH, OF_RUN, collections
from dgdr_operator.handlers import PREFIX, Queues, register
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.passes.orphans import sweep_orphans
from dgdr_operator.passes.sole_owner import Owners, SoleOwner
from dgdr_operator.settings import Settings, SettingsError, load
from dgdr_operator.telemetry import Telemetry

log = logging.getLogger("dgdr_operator")

EXIT_BAD_SETTINGS = 2
EXIT_REFUSED = 3
Pass = Callable[[Key, datetime], Awaitable[float | None]]


def main() -> None:
    """Run the operator."""
    logging.basicConfig(
        level=os.environ.get("DGDR_LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # kopf reports each call of each handler; ours only mark keys.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    allow_depth()
    try:
        sys.exit(asyncio.run(until_told(serve(load()))))
    except SettingsError as exc:
        log.error("%s", exc)
        sys.exit(EXIT_BAD_SETTINGS)
    except StartRefused as exc:
        log.error("Not starting: %s", exc)
        sys.exit(EXIT_REFUSED)


@dataclass(frozen=True, slots=True)
class Metrics:
    """What the process shows."""

    registry: CollectorRegistry
    kube: KubeMetrics
    operator: Telemetry

    @classmethod
    def new(cls) -> "Metrics":
        """Return metrics in a registry of their own."""
        registry = CollectorRegistry()
        return cls(registry, KubeMetrics(registry), Telemetry(registry))

    def passed(self, queue: str, decision: str, result: Result, seconds: float) -> None:
        """Count a pass."""
        self.kube.worked(queue, seconds)
        self.operator.passed(queue, decision, result)


async def serve(settings: Settings) -> int:
    """Run until stopped; returns the exit code."""
    election, metrics = settings.leader_election, Metrics.new()
    lease = election.operator_lease if election else ""
    async with standing(election, lease, metrics.kube.called) as leader:
        metrics.kube.show_leader(lease, leader)
        return await _serve(settings, leader, metrics)


async def _serve(settings: Settings, leader: Leader, metrics: Metrics) -> int:
    told = metrics.kube.called
    cluster = await KubeCluster.connect(
        user_agent="dgdr-operator",
        left_s=leader.left_s,
        pace=Pace(per_s=200, burst=300),
        told=told,
    )
    # Each watch holds a connection for good: they must not leave none to the passes.
    source = await KubeCluster.connect(user_agent="dgdr-operator", connections=0, told=told)
    health = Health()
    runner = await start(application(health, metrics.registry), settings.health.port)

    async def leading() -> int:
        here, told_by = through(cluster, served), through(source, served)
        return await work(here, told_by, settings, health, metrics, leader, served)

    try:
        served = await patiently(lambda: kinds_of(cluster, settings.mode))
        return await lead(leader, health, leading)
    finally:
        await runner.cleanup()
        await source.close()
        await cluster.close()


async def kinds_of(cluster: KubeCluster, mode: Mode) -> Served:
    """Return where the kinds are, once they are there and whose they have to be."""
    needed = [kind for kind in installed(mode) if kind != GPU_BUDGET]
    await require_crds(cluster, needed)
    await require_crds(cluster, borrowed(mode), own=False)
    return await discovered(cluster, mode)


def scopes(settings: Settings) -> tuple[str | None, ...]:
    """Return the namespaces that are served; None is all of them."""
    return settings.namespaces or (None,)


async def work(
    cluster: Cluster,
    source: Watching,
    settings: Settings,
    health: Health,
    metrics: Metrics,
    leader: Leader,
    served: Served = AS_NAMED,
) -> int:
    """Run the watcher and the workers side by side."""
    feed = Feed(
        source,
        collections(settings.mode),
        scopes(settings),
        back=lambda: queues.retry_failed(),
        heard=metrics.operator.heard,
    )
    adapters, (graphs,) = feed.stores.get(DGDSA, ()), feed.stores[DGD]
    queues = Queues(
        adapters_of=lambda graph: [
            key
            for store in adapters
            for key in store.keys(graph.namespace, ADAPTERS_OF_GRAPH, graph.name)
        ],
        candidates_of=lambda namespace, run: graphs.keys(namespace, OF_RUN, run),
    )
    leader.back = queues.retry_failed
    feed.install(health)
    feed.show(metrics.kube)
    metrics.operator.show()
    watched = RememberingCluster(cluster, feed.stores)
    scope = scope_of(cluster, settings)
    passes = list(passes_of(watched, settings, queues, served, scope))
    loops = {
        queue.name: queue.run(recorded(queue.name, at_the_time(run), metrics.passed))
        for queue, run in passes
    }
    for queue, _ in passes:
        queue.hold()
        metrics.kube.show_queue(queue)
        health.watch(queue.name, queue.longest_halt_s)
    if scope is not None:
        loops["namespaces"] = scope.keep()
    loops["first list"] = begin(feed, watched, settings, queues)
    return await run_together(
        watcher(settings, queues), {**loops, "heartbeat": heartbeat(health, "event loop")}
    )


def scope_of(cluster: Cluster, settings: Settings) -> NamespaceScope | None:
    """Return what holds the namespaces that are taken over, if any are."""
    taken = settings.takeover
    if settings.mode is not Mode.TAKEOVER or taken is None:
        return None
    return NamespaceScope(cluster, settings.namespaces, taken.holder, taken.principal)


def passes_of(
    watched: WatchedCluster,
    settings: Settings,
    queues: Queues,
    served: Served,
    scope: NamespaceScope | None,
) -> Iterator[tuple[WorkQueue[Key], Pass]]:
    """Yield the passes of this mode, each with its queue."""
    requests = DgdrPass(watched, settings, queues.waits, served)
    if settings.mode is Mode.BESIDE:
        yield queues.requests, requests
        return
    owners = Owners(watched, scope)
    yield queues.requests, SoleOwner(requests, DGDR, watched, owners)
    yield queues.graphs, SoleOwner(GraphPass(watched, settings), DGD, watched, owners)
    yield queues.adapters, SoleOwner(AdapterPass(watched, settings), DGDSA, watched, owners)


def at_the_time(run: Pass) -> Reconcile:
    """Return a pass that is told the time."""
    return lambda key: run(key, datetime.now(UTC))


async def begin(feed: Feed, cluster: WatchedCluster, settings: Settings, queues: Queues) -> None:
    """Let the passes start once all is known that they read."""
    await feed.listed()
    for namespace in scopes(settings):
        await patiently(partial(sweep_orphans, cluster, namespace))
    queues.release()
    log.info("Everything is listed: passes start")
    await asyncio.Event().wait()  # no loop may end


async def watcher(settings: Settings, queues: Queues) -> None:
    """Run kopf, which marks keys until it is told to stop."""
    registry = kopf.OperatorRegistry()
    register(registry, queues, settings.mode)
    own = kopf.OperatorSettings()
    kopf_settings.configure(own, prefix=PREFIX)
    await kopf_settings.watch(registry, own, settings.namespaces)


if __name__ == "__main__":
    main()
