"""A deployment, its planner and its Prometheus, in memory; passes run one by one."""

from datetime import datetime
from typing import Any

from dgdr_kube.kinds import DGDSA, SLA_PLANNER
from dgdr_kube.ports import Key, WatchedCluster
from dgdr_planner.adapters.budgets import ClusterBudgets
from dgdr_planner.adapters.compute import Computing
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.adapters.profiles import ConfigMapProfiles
from dgdr_planner.adapters.switch import ConfigMapSwitch
from dgdr_planner.adapters.targets import ClusterTargets
from dgdr_planner.adapters.telemetry import Telemetry
from dgdr_planner.forecast import Demand
from dgdr_planner.memory import Left
from dgdr_planner.observer import Observer
from dgdr_planner.planner_pass import PlannerPass
from support.fake_cluster import FakeCluster
from support.planning import (
    DGD_NAME,
    NAMESPACE,
    FakeEndpoints,
    FakeMetrics,
    adapter,
    at,
    curves_config_map,
    graph_deployment,
    sla_planner,
)

KEY = Key(NAMESPACE, DGD_NAME)


class World:
    """A deployment of one prefill and one decode worker, and its planner."""

    def __init__(self, planner: dict[str, Any] | None = None, adapters: bool = True) -> None:
        self.cluster = FakeCluster()
        self.metrics = FakeMetrics()
        self.telemetry = Telemetry()
        self.seconds = 0.0
        self.cluster.seed(curves_config_map(), graph_deployment(), planner or sla_planner())
        if adapters:
            self.cluster.seed(adapter("prefill", 1), adapter("decode", 1))
        self.restart()

    def restart(self) -> None:
        """Be a new process: nothing is remembered."""
        self.planners = PlannerIndex(self.cluster)
        watched = self.watched()
        targets = ClusterTargets(watched)
        budgets = ClusterBudgets(self.cluster, self.planners, self.clock)
        computing = Computing()
        observer = Observer(
            metrics=self.metrics,
            targets=targets,
            planners=self.planners,
            budgets=budgets,
            switch=ConfigMapSwitch(self.cluster, "dgdr-system", clock=lambda: self.seconds),
            endpoints=FakeEndpoints(),
            computing=computing,
            scrape_interval_s=5,
        )
        self.run = PlannerPass(
            cluster=watched,
            observer=observer,
            profiles=ConfigMapProfiles(self.cluster, clock=lambda: self.seconds),
            targets=targets,
            budgets=budgets,
            telemetry=self.telemetry,
            computing=computing,
            clock=self.clock,
            uniform=lambda least, most: (least + most) / 2.0,
        )

    def watched(self) -> WatchedCluster:
        """How the planner sees the cluster: at once, unless a world says otherwise."""
        return self.cluster

    def demand(self) -> Demand:
        """What the planner remembers of the load."""
        return self.left.state.demand

    @property
    def left(self) -> Left:
        """What the last pass left."""
        left = self.run._memory.left(KEY)
        assert left is not None
        return left

    def clock(self) -> datetime:
        return at(self.seconds)

    async def passes(self, count: int = 1) -> None:
        for _ in range(count):
            await self.run(KEY)
            self.seconds += 15

    def replicas(self) -> tuple[int, int]:
        """What the adapters say."""
        return self.adapted("prefill"), self.adapted("decode")

    def adapted(self, component: str) -> int:
        found = self.cluster.peek(DGDSA, NAMESPACE, f"{DGD_NAME}-{component}")
        assert found is not None
        return int(found["spec"]["replicas"])

    def status(self) -> dict[str, Any]:
        found = self.cluster.peek(SLA_PLANNER, NAMESPACE, DGD_NAME)
        assert found is not None
        status: dict[str, Any] = found.get("status") or {}
        return status

    def condition(self, type_: str) -> tuple[str, str, str]:
        held = {entry["type"]: entry for entry in self.status()["conditions"]}[type_]
        return held["status"], held["reason"], held["message"]

    def status_writes(self) -> int:
        return sum(write.verb == "patch_status" for write in self.cluster.writes)

    def events(self) -> list[tuple[str, str]]:
        return [(str(event.severity), event.reason) for event in self.cluster.events]
