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
from dgdr_kube.ports import Cluster, Key, Watching
from dgdr_kube.process import Pass, PassMetrics, heartbeat, patiently, run_together, until_told
from dgdr_kube.serving import Health, application, start
from dgdr_kube.workqueue import WorkQueue
from dgdr_operator.handlers import PREFIX, WATCHED, WATCHED_LABELS, Queues, register
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
    cluster = await KubeCluster.connect(user_agent="dgdr-operator", left_s=leader.left_s)
    # Each watch holds a connection for good: they must not leave none to the passes.
    source = await KubeCluster.connect(user_agent="dgdr-operator", connections=0)
    health, metrics = Health(), CollectorRegistry()
    show(leader, metrics, "dgdr_operator")
    runner = await start(application(health, metrics), settings.health.port)
    measured = PassMetrics(metrics, "dgdr_operator")

    async def leading() -> int:
        for namespace in scopes(settings):
            await patiently(partial(sweep_orphans, cluster, namespace))
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
    queues = Queues()
    leader.back = queues.retry_failed
    feed = Feed(source, WATCHED, scopes(settings), labels=WATCHED_LABELS, back=queues.retry_failed)
    feed.install(health)
    passes: list[tuple[WorkQueue[Key], Pass]] = [
        (queues.requests, DgdrPass(cluster, settings)),
        (queues.graphs, GraphPass(cluster, settings)),
        (queues.adapters, AdapterPass(cluster, settings)),
    ]
    loops = {queue.name: queue.run(metrics.measured(queue, run)) for queue, run in passes}
    for queue in queues.all():
        health.watch(queue.name, queue.longest_pass_s)
    return await run_together(
        watcher(settings, queues), {**loops, "heartbeat": heartbeat(health, "event loop")}
    )


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
