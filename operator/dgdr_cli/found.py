"""What the command line reads from a cluster: the input of the view, validated at the door."""

from dataclasses import dataclass, field
from typing import Protocol

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.dgdr_v1beta1 import DynamoGraphDeploymentRequest
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.points import Point
from dgdr_cli.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One request and everything that belongs to it; ``None`` where it is not there (yet)."""

    request: DynamoGraphDeploymentRequest
    points: tuple[Point, ...] = ()
    report: Report = field(default_factory=Report)
    deployment: DynamoGraphDeployment | None = None
    planner: SLAPlanner | None = None


class Source(Protocol):
    """Where requests are read."""

    def find(self, name: str, namespace: str | None) -> Found | None:
        """Read a request; ``None`` when there is none of that name."""
