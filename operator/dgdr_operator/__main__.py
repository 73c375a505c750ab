"""``python -m dgdr_operator``: watch, work, answer health checks; exit when any of them ends."""

import asyncio
import logging
import os
import sys
from functools import partial

import kopf
from prometheus_client import CollectorRegistry

from dgdr_kube import kopf_settings
from dgdr_kube.client import KubeCluster
from dgdr_kube.crd_check import StartRefused, require_crds
from dgdr_kube.kinds import DGD, DGDR, DGDSA, PROFILING_POLICY, SLA_PLANNER, WORKER_METADATA
from dgdr_kube.kopf_feed import Feed
from dgdr_kube.leading import Leader, lead, show, standing
from dgdr_kube.pace import Pace
from dgdr_kube.ports import Cluster, Key, WatchedCluster, Watching
from dgdr_kube.process import Pass, PassMetrics, heartbeat, patiently, run_together, until_told
from dgdr_kube.remembering import RememberingCluster
from dgdr_kube.serving import Health, application, start
from dgdr_kube.workqueue import WorkQueue
from dgdr_operator.followed import ADAPTERS_OF_GRAPH, COLLECTIONS
from dgdr_operator.handlers import PREFIX, Queues, register
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.dgdr_actor import sweep_orphans
from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import Settings, SettingsError, load

log = logging.getLogger("dgdr_operator")

EXIT_BAD_SETTINGS = 2
EXIT_REFUSED = 3
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


async def serve(settings: Settings) -> int:
    """Run until stopped; returns the exit code."""
    election = settings.leader_election
    async with standing(election, election.operator_lease if election else "") as leader:
        return await _serve(settings, leader)


async def _serve(settings: Settings, leader: Leader) -> int:
    cluster = await KubeCluster.connect(
        user_agent="dgdr-operator", left_s=leader.left_s, pace=Pace(per_s=200, burst=300)
    )
    # Each watch holds a connection for good: they must not leave none to the passes.
    source = await KubeCluster.connect(user_agent="dgdr-operator", connections=0)
    health, metrics = Health(), CollectorRegistry()
    show(leader, metrics, "dgdr_operator")
    runner = await start(application(health, metrics), settings.health.port)
    measured = PassMetrics(metrics, "dgdr_operator")

    async def leading() -> int:
        return await work(cluster, source, settings, health, measured, leader)

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
    metrics: PassMetrics,
    leader: Leader,
) -> int:
    """Run the watcher and the workers side by side."""
    feed = Feed(source, COLLECTIONS, scopes(settings), back=lambda: queues.retry_failed())
    (adapters,) = feed.stores[DGDSA]
    queues = Queues(
        adapters_of=lambda graph: adapters.keys(graph.namespace, ADAPTERS_OF_GRAPH, graph.name)
    )
    leader.back = queues.retry_failed
    feed.install(health)
    watched = RememberingCluster(cluster, feed.stores)
    passes: list[tuple[WorkQueue[Key], Pass]] = [
        (queues.requests, DgdrPass(watched, settings, queues.waits)),
        (queues.graphs, GraphPass(watched, settings)),
        (queues.adapters, AdapterPass(watched, settings)),
    ]
    loops = {queue.name: queue.run(metrics.measured(queue, run)) for queue, run in passes}
    for queue in queues.all():
        queue.hold()
        health.watch(queue.name, queue.longest_pass_s)
    loops["first list"] = begin(feed, watched, settings, queues)
    return await run_together(
        watcher(settings, queues), {**loops, "heartbeat": heartbeat(health, "event loop")}
    )


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
