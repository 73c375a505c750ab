"""Planners that tick in real time on a cluster in memory, each with a Prometheus of its own."""

import asyncio
import copy
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dgdr_kube.kinds import DGDSA, SLA_PLANNER
from dgdr_kube.ports import Key
from dgdr_kube.settings import Prometheus
from dgdr_kube.workqueue import WorkQueue
from dgdr_planner.__main__ import WORKERS
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
from support.fake_cluster import FakeCluster
from support.planning import (
    DGD_NAME,
    adapter,
    curves_config_map,
    graph_deployment,
    sla_planner,
)


@dataclass(frozen=True)
class Tick:
    """What a planner said at the end of a pass; times are monotonic seconds."""

    began_s: float
    ended_s: float
    available: str
    reason: str
    message: str
    rate_per_s: float | None
    replicas: tuple[int, int]


@dataclass
class LivePlanners:
    """One planner a namespace, all of them of one process."""

    interval_s: float
    scrape_interval_s: float
    cluster: FakeCluster = field(default_factory=FakeCluster)
    telemetry: Telemetry = field(default_factory=Telemetry)
    ticks: dict[str, list[Tick]] = field(default_factory=dict)

    def add(self, namespace: str, url: str, prefill: int, decode: int, **source: Any) -> None:
        """A planner that shrinks at once, so that every mistake shows, and never grows."""
        planner = sla_planner(
            interval=f"{self.interval_s:g}s",
            roles={"prefill": {"min": 1, "max": prefill}, "decode": {"min": 1, "max": decode}},
            behavior={"scaleDown": {"stabilizationWindowSeconds": 0, "maxStep": 8}},
            metrics={"prometheus": {"url": url, **source}},
        )
        self.cluster.seed(
            *(
                _in(namespace, manifest)
                for manifest in (
                    curves_config_map(),
                    graph_deployment(prefill, decode),
                    adapter("prefill", prefill),
                    adapter("decode", decode),
                    planner,
                )
            )
        )
        self.ticks[namespace] = []

    async def run(self) -> None:
        """Tick until cancelled."""
        index, targets = PlannerIndex(self.cluster), ClusterTargets(self.cluster)
        budgets = ClusterBudgets(self.cluster, index, lambda: datetime.now(UTC))
        metrics = PrometheusMetrics(told=self.telemetry.answered)
        computing = Computing()
        observer = Observer(
            metrics=metrics,
            targets=targets,
            planners=index,
            budgets=budgets,
            switch=ConfigMapSwitch(self.cluster, ""),
            endpoints=PrometheusEndpoints(self.cluster, Prometheus()),
            computing=computing,
            scrape_interval_s=self.scrape_interval_s,
        )
        run_pass = PlannerPass(
            cluster=self.cluster,
            observer=observer,
            profiles=ConfigMapProfiles(self.cluster),
            targets=targets,
            budgets=budgets,
            telemetry=self.telemetry,
            computing=computing,
        )

        async def noted(key: Key) -> float | None:
            began_s = time.monotonic()
            delay_s = await run_pass(key)
            self.ticks[key.namespace].append(self._tick(key.namespace, began_s))
            return delay_s

        queue: WorkQueue[Key] = WorkQueue(WORKERS, name="planner")
        for namespace in self.ticks:
            queue.add(Key(namespace, DGD_NAME))
        try:
            await queue.run(noted)
        finally:
            await metrics.close()

    async def until(self, namespace: str, holds: Callable[[Tick], bool], seconds: float) -> Tick:
        """Wait for a tick that holds, of those that begin from now on."""
        from_s = time.monotonic()
        while True:
            for tick in self.ticks[namespace]:
                if tick.began_s >= from_s and holds(tick):
                    return tick
            assert time.monotonic() - from_s < seconds, (namespace, self.ticks[namespace][-4:])
            await asyncio.sleep(0.1)

    def replicas(self, namespace: str) -> tuple[int, int]:
        """What the adapters say."""
        return self._adapted(namespace, "prefill"), self._adapted(namespace, "decode")

    def _adapted(self, namespace: str, component: str) -> int:
        found = self.cluster.peek(DGDSA, namespace, f"{DGD_NAME}-{component}")
        assert found is not None
        return int(found["spec"]["replicas"])

    def _tick(self, namespace: str, began_s: float) -> Tick:
        found = self.cluster.peek(SLA_PLANNER, namespace, DGD_NAME)
        assert found is not None
        told = found.get("status") or {}
        (held,) = _only(told.get("conditions") or (), "MetricsAvailable")
        return Tick(
            began_s=began_s,
            ended_s=time.monotonic(),
            available=held["status"],
            reason=held["reason"],
            message=held["message"],
            rate_per_s=self.telemetry.registry.get_sample_value(
                "dynamo_planner_observed_requests_per_second",
                {
                    "dynamo_namespace": f"{namespace}-{DGD_NAME}",
                    "target_namespace": namespace,
                    "planner": DGD_NAME,
                },
            ),
            replicas=self.replicas(namespace),
        )


def _only(conditions: Iterable[dict[str, Any]], type_: str) -> list[dict[str, Any]]:
    return [one for one in conditions if one["type"] == type_]


def _in(namespace: str, manifest: dict[str, Any]) -> dict[str, Any]:
    moved = copy.deepcopy(manifest)
    moved["metadata"]["namespace"] = namespace
    return moved
