"""``python -m dgdr_planner``: the planner as a process."""

import asyncio
import contextlib
import gc
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from dgdr_kube.client import KubeCluster
from dgdr_kube.depth import allow_depth
from dgdr_kube.following import Watch, follow
from dgdr_kube.kinds import GPU_BUDGET, Kind
from dgdr_kube.leading import Leader, lead, standing
from dgdr_kube.metrics import Followed, KubeMetrics
from dgdr_kube.pass_record import Reconcile, Result, recorded
from dgdr_kube.ports import Key, Watching
from dgdr_kube.process import EXIT_LOOP_ENDED, end, patiently, until_told
from dgdr_kube.remembering import RememberingCluster
from dgdr_kube.served import discovered
from dgdr_kube.served_cluster import through
from dgdr_kube.serving import Health, application, start
from dgdr_kube.store import Store
from dgdr_kube.workqueue import WorkQueue
from dgdr_planner import handlers
from dgdr_planner.adapters.budgets import ClusterBudgets
from dgdr_planner.adapters.compute import Computing
from dgdr_planner.adapters.endpoints import PrometheusEndpoints
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.adapters.profiles import ConfigMapProfiles
from dgdr_planner.adapters.prometheus import PrometheusMetrics
from dgdr_planner.adapters.switch import ConfigMapSwitch
from dgdr_planner.adapters.targets import ClusterTargets
from dgdr_planner.adapters.telemetry import Telemetry
from dgdr_planner.observer import Observer
from dgdr_planner.planner_pass import PlannerPass
from dgdr_planner.settings import Settings, SettingsError, load

log = logging.getLogger(__name__)

# Passes wait for Prometheus and the API server most of their time, and a Prometheus that does not
# answer must not delay planners of another one: there is a worker for each of a thousand planners.
# What they do at once is bounded by the connections to the API server and by the threads.
WORKERS = 1024
BEAT_S = 15.0
# A tick replaces the samples of all deployments, among which there are no cycles. Looking for some
# as often as Python does by itself takes a tenth of a tick of a thousand planners.
GC_THRESHOLDS = (50_000, 20, 50)


def main() -> int:
    """Run until told to stop."""
    logging.basicConfig(
        level=os.environ.get("DGDR_LOG_LEVEL", "INFO"),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # A line for each event and each request hides the one line a pass that matters.
    logging.getLogger("aiohttp").setLevel(logging.WARNING)
    allow_depth()
    try:
        settings = load()
    except SettingsError as exc:
        log.error("%s", exc)
        return 2
    gc.set_threshold(*GC_THRESHOLDS)
    return asyncio.run(until_told(serve(settings)))


async def serve(settings: Settings) -> int:
    """Serve until SIGTERM; returns the exit code."""
    election, telemetry = settings.leader_election, Telemetry()
    lease, metrics = election.planner_lease if election else "", KubeMetrics(telemetry.registry)
    async with standing(election, lease, metrics.called) as leader:
        health = Health()
        metrics.show_leader(lease, leader)
        # Before the first question, which may go without an answer for longer than a probe waits.
        web = await start(application(health, telemetry.registry), settings.health.port)
        async with contextlib.AsyncExitStack() as ends:
            ends.push_async_callback(web.cleanup)
            planning = await _planning(settings, leader, telemetry, metrics, ends)
            return await lead(leader, health, lambda: _work(settings, planning, health))


async def _work(settings: Settings, planning: "_Planning", health: Health) -> int:
    """Run until cancelled; the first loop that ends, ends all."""
    for queue in planning.passes:
        health.watch(queue.name, queue.longest_halt_s)
        planning.metrics.show_queue(queue)
    loops = {
        *(
            asyncio.create_task(queue.run(run_pass), name=queue.name)
            for queue, run_pass in planning.passes.items()
        ),
        asyncio.create_task(planning.look(), name="looks"),
        *_followed(settings, planning, health),
        asyncio.create_task(_beat(health), name="beat"),
    }
    try:
        ended, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
        return EXIT_LOOP_ENDED
    finally:
        await end(loops)


@dataclass(frozen=True, slots=True)
class _Planning:
    """What the loops of the process share. ``source`` is who tells of changes."""

    passes: dict[WorkQueue[Key], Reconcile]
    source: Watching
    stores: dict[Kind, Store]
    look: Callable[[], Coroutine[None, None, None]]
    metrics: KubeMetrics


async def _planning(
    settings: Settings,
    leader: Leader,
    telemetry: Telemetry,
    shown: KubeMetrics,
    ends: contextlib.AsyncExitStack,
) -> _Planning:
    """Put together what works, whether or not the API server answers; ``ends`` close it."""
    queue: WorkQueue[Key] = WorkQueue(WORKERS, name="planner")
    unclaimed: WorkQueue[Key] = WorkQueue(name="budgets")

    def retry_failed() -> None:
        for one in (queue, unclaimed):
            one.retry_failed()

    leader.back = retry_failed
    server = await _connected(ends, left_s=leader.left_s, told=shown.called)
    # Each watch holds a connection for good: they must not leave none to the passes.
    source = await _connected(ends, connections=0, told=shown.called)
    planners, computing = PlannerIndex(server), Computing()
    stores = handlers.stores(queue, unclaimed, planners)
    telemetry.show_budgets(stores[GPU_BUDGET])
    served = await patiently(lambda: discovered(server, settings.mode))
    here, told_by = through(server, served), through(source, served)
    stores = {kind: store for kind, store in stores.items() if kind not in served.absent}
    cluster = RememberingCluster(here, {kind: (store,) for kind, store in stores.items()})
    metrics = PrometheusMetrics(settings.namespaces, told=telemetry.answered)
    ends.push_async_callback(metrics.close)
    targets = ClusterTargets(cluster)
    budgets = ClusterBudgets(cluster, planners, lambda: datetime.now(UTC))
    observer = Observer(
        metrics=metrics,
        targets=targets,
        planners=planners,
        budgets=budgets,
        switch=ConfigMapSwitch(cluster, settings.switch.namespace),
        endpoints=PrometheusEndpoints(cluster, settings.prometheus),
        computing=computing,
        scrape_interval_s=settings.prometheus.scrape_interval_seconds,
    )
    run_pass = PlannerPass(
        cluster=cluster,
        observer=observer,
        profiles=ConfigMapProfiles(cluster),
        targets=targets,
        budgets=budgets,
        telemetry=telemetry,
        computing=computing,
    )

    def told(name: str, _decision: str, _result: Result, seconds: float) -> None:
        shown.worked(name, seconds)

    passes = {
        one: recorded(one.name, run, told)
        for one, run in ((queue, run_pass), (unclaimed, budgets.settle))
    }
    look = partial(run_pass.looks.run, queue.notice)
    return _Planning(passes, told_by, stores, look, shown)


async def _connected(ends: contextlib.AsyncExitStack, **settings: Any) -> KubeCluster:
    cluster = await KubeCluster.connect(user_agent="dgdr-planner", **settings)
    ends.push_async_callback(cluster.close)
    return cluster


def _followed(
    settings: Settings, planning: _Planning, health: Health
) -> list["asyncio.Task[None]"]:
    """Follow each kind in all namespaces, or in each of those that the installation names."""
    scopes: tuple[str | None, ...] = settings.namespaces or (None,)
    watches = {(kind, scope): Watch() for kind in planning.stores for scope in scopes}
    for (kind, scope), watch in watches.items():
        health.follow(kind.plural, scope, watch)
    planning.metrics.show_watches(
        Followed(kind, "", scope, watch) for (kind, scope), watch in watches.items()
    )
    planning.metrics.show_stores(planning.stores.items())
    return [
        asyncio.create_task(
            follow(planning.source, kind, scope, planning.stores[kind], watch=watch),
            name=kind.plural,
        )
        for (kind, scope), watch in watches.items()
    ]


async def _beat(health: Health) -> None:
    """Show that the event loop turns: a blocking call anywhere in it stops this."""
    while True:
        health.beat("loop")
        await asyncio.sleep(BEAT_S)


if __name__ == "__main__":
    sys.exit(main())
