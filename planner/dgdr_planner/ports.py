"""What the planner needs from the world; ``adapters`` provide it, tests have fakes."""

from collections.abc import Sequence
from typing import Protocol

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_metrics import PrometheusSource
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.observe.budget import BudgetSeen, Claim
from dgdr_planner.observe.endpoint import Endpoint
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.observation import TargetSeen
from dgdr_planner.observe.ownership import PlannerSeen
from dgdr_planner.observe.snapshot import GraphKey, NoSnapshot, Snapshot
from dgdr_planner.observe.value import Trouble
from dgdr_planner.plan import RolePlan
from dgdr_planner.tell.status import Done


class Metrics(Protocol):
    """Samples of all frontends that one Prometheus scrapes."""

    async def snapshot(
        self, endpoint: Endpoint, window_s: float, *, counts_only: bool = False
    ) -> Snapshot | NoSnapshot:
        """Return the samples of the window; planners that ask at the same time share one.

        ``counts_only`` leaves lengths and latencies out.
        """
        ...

    async def history(
        self, endpoint: Endpoint, graph: GraphKey, interval_s: float, windows: int, scrape_s: float
    ) -> tuple[Sample, ...] | NoSnapshot:
        """Return the last windows of one deployment, oldest first, dated by our clock.

        They end an interval apart, and are as long as those that a planner sees.
        For a process that has just started. Windows that nobody knows are left out.
        """
        ...


class Endpoints(Protocol):
    """Where Prometheus is, and what it is asked with."""

    async def endpoint(
        self, namespace: str, source: PrometheusSource | None
    ) -> Endpoint | NoSnapshot:
        """Return a planner's own Prometheus, otherwise the installation's."""
        ...


class Profiles(Protocol):
    """Measured curves by the ConfigMap that holds them."""

    async def profile(self, namespace: str, config_map: str) -> EngineProfile | Trouble:
        """Return the fitted curves."""
        ...


class Targets(Protocol):
    """The deployments that are scaled."""

    async def observe(
        self,
        namespace: str,
        name: str,
        roles: tuple[Role, ...],
        *,
        with_pods: bool = False,
        certain: bool = False,
    ) -> TargetSeen | Trouble:
        """Return the replicas of these roles; pods that stop are seen ``with_pods`` only.

        ``certain`` is as they are now, to write by; otherwise as a watch told of them.
        """
        ...

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is kept of a deployment that a planner scales no more."""
        ...

    async def scale(self, target: TargetSeen, changes: Sequence[RolePlan]) -> Done:
        """Write the numbers, provided that nobody changed them since they were observed."""
        ...


class Planners(Protocol):
    """All SLAPlanners, complete."""

    async def scaling(self, namespace: str, dgd: str) -> tuple[PlannerSeen, ...]:
        """Return those of a deployment."""
        ...

    async def taking(self, namespace: str, budget: str) -> tuple[PlannerSeen, ...]:
        """Return those that name a budget."""
        ...


class Budgets(Protocol):
    """GPUBudgets that planners share."""

    async def observe(self, namespace: str, name: str, planner: str) -> BudgetSeen | Trouble:
        """Return the budget as a planner sees it."""
        ...

    async def held(self, namespace: str, target: str) -> int:
        """Return the GPUs that pods of a deployment hold, whether it is there or not."""
        ...

    async def claim(self, namespace: str, seen: BudgetSeen, claim: Claim, target: str) -> bool:
        """Write a claim; False when somebody wrote since the budget was seen."""
        ...


class Switch(Protocol):
    """Stops all planners of the installation."""

    async def thrown(self) -> Trouble | None:
        """Return why no planner may change anything; None when they may."""
        ...
