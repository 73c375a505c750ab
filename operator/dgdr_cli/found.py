"""What the command line reads from a cluster: the input of the view, validated at the door."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.dgdr_v1beta1 import DGDRStatus, DynamoGraphDeploymentRequest
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.points import Point
from dgdr_cli.prometheus import Prometheus
from dgdr_cli.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One request and everything that belongs to it; ``None`` where it is not there (yet).

    ``phase`` is the cluster's word, known here or not; ``remarks`` say what could not be read.
    """

    request: DynamoGraphDeploymentRequest
    phase: str | None = None
    points: tuple[Point, ...] = ()
    report: Report = field(default_factory=Report)
    deployment: DynamoGraphDeployment | None = None
    planner: SLAPlanner | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One request of a list; ``phase`` as of ``Found``."""

    name: str
    status: DGDRStatus
    phase: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPlanner:
    """One SLAPlanner, its curves' ConfigMap, its shared budget and its target.

    ``None``: not there, or not for this user to read.
    """

    planner: SLAPlanner
    curves: Mapping[str, str] | None
    budget: GPUBudget | None = None
    target: DynamoGraphDeployment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A deployment in v1beta1, and what stands beside it in its namespace.

    ``curves`` are the ConfigMaps that hold some; ``requests`` is the version of requests here.
    """

    dgd: Mapping[str, Any]
    curves: frozenset[str]
    requests: str


class Source(Protocol):
    """Where requests and planners are read."""

    def find(self, name: str, namespace: str | None) -> Found | None:
        """Read a request; ``None`` when there is none of that name."""

    def list_requests(self, namespace: str | None) -> tuple[Listed, ...]:
        """Read all requests of a namespace."""

    def find_planner(self, name: str, namespace: str | None) -> FoundPlanner | None:
        """Read a planner; ``None`` when there is none of that name."""

    def prometheus(self, url: str | None) -> Prometheus:
        """Return the way to a Prometheus; None is the installation's."""

    def find_graph(self, name: str, namespace: str | None) -> Running | None:
        """Read a deployment of either version; ``None`` when there is none of that name."""

    def create(self, manifest: Mapping[str, Any]) -> None:
        """Make an object."""
