"""What the planner needs from the world; ``adapters`` provide it, tests have fakes."""

from collections.abc import Sequence
from typing import Protocol

from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.core.decide import RolePlan
from dgdr_planner.core.observation import TargetSeen, Trouble
from dgdr_planner.core.snapshot import NoSnapshot, Snapshot
from dgdr_planner.core.status import Done


class Metrics(Protocol):
    """Samples of all frontends that one Prometheus scrapes."""

    async def snapshot(self, url: str, window_s: float) -> Snapshot | NoSnapshot:
        """Return the samples of the window; planners that ask at the same time share one."""
        ...


class Profiles(Protocol):
    """Measured curves by the ConfigMap that holds them."""

    async def profile(self, namespace: str, config_map: str) -> EngineProfile | Trouble:
        """Return the fitted curves."""
        ...


class Targets(Protocol):
    """The deployments that are scaled."""

    async def observe(self, namespace: str, name: str) -> TargetSeen | Trouble:
        """Return the replicas of both roles."""
        ...

    async def scale(self, target: TargetSeen, changes: Sequence[RolePlan]) -> Done:
        """Write the numbers, provided that nobody changed them since they were observed."""
        ...
