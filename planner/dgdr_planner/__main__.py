"""``python -m dgdr_planner``: the planner as a process."""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import kopf

from dgdr_kube.client import KubeCluster
from dgdr_kube.ports import Key
from dgdr_kube.serving import Health, application, start
from dgdr_kube.workqueue import WorkQueue
from dgdr_planner import handlers
from dgdr_planner.adapters.budgets import ClusterBudgets
from dgdr_planner.adapters.endpoints import PrometheusEndpoints
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.adapters.profiles import ConfigMapProfiles
from dgdr_planner.adapters.prometheus import PrometheusMetrics
from dgdr_planner.adapters.switch import ConfigMapSwitch
from dgdr_planner.adapters.targets import ClusterTargets
from dgdr_planner.observing import Observer
from dgdr_planner.planner_pass import PlannerPass
from dgdr_planner.settings import Settings, SettingsError, load
from dgdr_planner.telemetry import Telemetry

log = logging.getLogger(__name__)

# Passes wait for Prometheus and the API server most of their time, and a Prometheus that does not
# answer must not delay planners of another one: there is a worker for each of a thousand planners.
# What they do at once is bounded by the connections to the API server and by the threads.
WORKERS = 1024
BEAT_S = 15.0


def main() -> int:
    """Run until told to stop."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # A line for each event and each request hides the one line a pass that matters.
    for noisy in ("kopf", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = load()
    except SettingsError as exc:
        log.error("%s", exc)
        return 2
    asyncio.run(serve(settings))
    return 0


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM; the first loop that ends, ends all."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    queue: WorkQueue[Key] = WorkQueue(WORKERS, name="planner")
    async with _passes(settings) as (run_pass, telemetry, planners):
        health = Health()
        health.watch(queue.name, queue.longest_pass_s)
        web = await start(application(health, telemetry.registry), settings.health.port)
        loops = {
            asyncio.create_task(queue.run(run_pass), name="queue"),
            asyncio.create_task(_watch(settings, queue, planners, stop), name="watch"),
            asyncio.create_task(_beat(health), name="beat"),
            asyncio.create_task(stop.wait(), name="stop"),
        }
        try:
            ended, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            stop.set()
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await web.cleanup()


@contextlib.asynccontextmanager
async def _passes(
    settings: Settings,
) -> AsyncIterator[tuple[PlannerPass, Telemetry, PlannerIndex]]:
    cluster = await KubeCluster.connect(user_agent="dgdr-planner")
    telemetry, planners, targets = Telemetry(), PlannerIndex(cluster), ClusterTargets(cluster)
    metrics = PrometheusMetrics(settings.namespaces, told=telemetry.answered)
    budgets = ClusterBudgets(cluster, planners, lambda: datetime.now(UTC))
    observer = Observer(
        metrics=metrics,
        targets=targets,
        planners=planners,
        budgets=budgets,
        switch=ConfigMapSwitch(cluster, settings.switch.namespace),
        endpoints=PrometheusEndpoints(cluster, settings.prometheus),
        scrape_interval_s=settings.prometheus.scrape_interval_seconds,
    )
    run_pass = PlannerPass(
        cluster=cluster,
        observer=observer,
        profiles=ConfigMapProfiles(cluster),
        targets=targets,
        budgets=budgets,
        telemetry=telemetry,
    )
    try:
        yield run_pass, telemetry, planners
    finally:
        await metrics.close()
        await cluster.close()


async def _watch(
    settings: Settings, queue: WorkQueue[Key], planners: PlannerIndex, stop: asyncio.Event
) -> None:
    await kopf.operator(
        registry=handlers.registry(queue, planners),
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        stop_flag=stop,
        standalone=True,
    )


async def _beat(health: Health) -> None:
    """Show that the event loop turns: a blocking call anywhere in it stops this."""
    while True:
        health.beat("loop")
        await asyncio.sleep(BEAT_S)


if __name__ == "__main__":
    sys.exit(main())
