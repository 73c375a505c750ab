"""``python -m dgdr_operator``: watch, work, answer health checks; exit when any of them ends."""

import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import kopf
from prometheus_client import CollectorRegistry

from dgdr_kube import kopf_settings
from dgdr_kube.client import KubeCluster
from dgdr_kube.crd_check import StartRefused, require_crds
from dgdr_kube.kinds import DGD, DGDR, DGDSA, PROFILING_POLICY, SLA_PLANNER, WORKER_METADATA
from dgdr_kube.kopf_feed import Feed
from dgdr_kube.leading import Leader, lead, standing
from dgdr_kube.metrics import KubeMetrics
from dgdr_kube.pace import Pace
from dgdr_kube.pass_record import Reconcile, Result, recorded
from dgdr_kube.ports import Cluster, Key, WatchedCluster, Watching
from dgdr_kube.process import heartbeat, patiently, run_together, until_told
from dgdr_kube.remembering import RememberingCluster
from dgdr_kube.serving import Health, application, start
from dgdr_kube.workqueue import WorkQueue
from dgdr_operator.followed import ADAPTERS_OF_GRAPH, COLLECTIONS, OF_RUN
from dgdr_operator.handlers import PREFIX, Queues, register
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.dgdr_actor import sweep_orphans
from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import Settings, SettingsError, load
from dgdr_operator.telemetry import Telemetry

log = logging.getLogger("dgdr_operator")

EXIT_BAD_SETTINGS = 2
EXIT_REFUSED = 3
Pass = Callable[[Key, datetime], Awaitable[float | None]]
NEEDED = (DGDR, DGD, DGDSA, WORKER_METADATA, PROFILING_POLICY, SLA_PLANNER)


def main() -> None:
    """Run the operator."""
    logging.basicConfig(
        level=os.environ.get("DGDR_LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # kopf reports each call of each handler; ours only mark keys.
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
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
        return await work(cluster, source, settings, health, metrics, leader)

    try:
        await patiently(lambda: require_crds(cluster, NEEDED))
        return await lead(leader, health, leading)
    finally:
        await runner.cleanup()
        await source.close()
        await cluster.close()


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
) -> int:
    """Run the watcher and the workers side by side."""
    feed = Feed(
        source,
        COLLECTIONS,
        scopes(settings),
        back=lambda: queues.retry_failed(),
        heard=metrics.operator.heard,
    )
    (adapters,), (graphs,) = feed.stores[DGDSA], feed.stores[DGD]
    queues = Queues(
        adapters_of=lambda graph: adapters.keys(graph.namespace, ADAPTERS_OF_GRAPH, graph.name),
        candidates_of=lambda namespace, run: graphs.keys(namespace, OF_RUN, run),
    )
    leader.back = queues.retry_failed
    feed.install(health)
    feed.show(metrics.kube)
    metrics.operator.show()
    watched = RememberingCluster(cluster, feed.stores)
    passes: list[tuple[WorkQueue[Key], Pass]] = [
        (queues.requests, DgdrPass(watched, settings, queues.waits)),
        (queues.graphs, GraphPass(watched, settings)),
        (queues.adapters, AdapterPass(watched, settings)),
    ]
    loops = {
        queue.name: queue.run(recorded(queue.name, at_the_time(run), metrics.passed))
        for queue, run in passes
    }
    for queue in queues.all():
        queue.hold()
        metrics.kube.show_queue(queue)
        health.watch(queue.name, queue.longest_pass_s)
    loops["first list"] = begin(feed, watched, settings, queues)
    return await run_together(
        watcher(settings, queues), {**loops, "heartbeat": heartbeat(health, "event loop")}
    )


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
    register(registry, queues)
    own = kopf.OperatorSettings()
    kopf_settings.configure(own, prefix=PREFIX)
    await kopf.operator(
        registry=registry,
        settings=own,
        namespaces=settings.namespaces,
        clusterwide=not settings.namespaces,
    )


if __name__ == "__main__":
    main()
