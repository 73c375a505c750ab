"""The operator's configuration: one YAML file, validated once, at the start."""

from typing import Any, Self

from pydantic import Field, model_validator

from dgdr_kube import settings as shared
from dgdr_kube.served import Mode
from dgdr_kube.settings import (
    HealthServer,
    LeaderElection,
    Prometheus,
    Section,
    SettingsError,
    Switch,
)
from dgdr_operator.core.upgrades import Rollout

__all__ = ["HealthServer", "Prometheus", "Settings", "SettingsError", "load", "parse"]


class Images(Section):
    """Images of what the operator starts itself."""

    profiler: str = Field(min_length=1)
    dynamo_mocker: str = ""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


class DataPlane(Section):
    """What Dynamo's processes use to find and call each other."""

    discovery: str = "kubernetes"
    request_plane: str = "tcp"
    event_plane: str = "zmq"
    nats_url: str = ""
    etcd_endpoints: str = ""
    model_express_url: str = ""
    pre_stop_seconds: int = Field(default=5, ge=0)


class Profiling(Section):
    """Rights of the profiling Job, made by the chart."""

    cluster_role: str = "dgdr-operator-profiling-job"
    policy_namespace: str = ""
    """Where ProfilingPolicies count; empty: in the namespace of the request."""


class Security(Section):
    """What pods may be, and as whom they run."""

    service_accounts: tuple[str, ...] = ("default", "modelexpress", "planner-serviceaccount")
    restricted_workers: bool = False
    run_as_user: int | None = Field(default=1000, ge=1)
    job_egress_ports: tuple[int, ...] = ()
    """TCP ports that profiling Jobs may reach anywhere; empty: no NetworkPolicy is made."""


class Takeover(Section):
    """As whom namespaces are held, and as whom the operator writes in them."""

    holder: str = Field(min_length=1)
    principal: str = Field(min_length=1)


class Settings(Section):
    """Everything that an installation can set."""

    mode: Mode = Mode.STANDALONE
    takeover: Takeover | None = None
    namespaces: tuple[str, ...] = ()
    images: Images
    data_plane: DataPlane = DataPlane()
    rollout: Rollout = Rollout.ON_CHANGE
    prometheus: Prometheus = Prometheus()
    profiling: Profiling = Profiling()
    security: Security = Security()
    health: HealthServer = HealthServer()
    leader_election: LeaderElection | None = None
    switch: Switch = Switch()
    webhooks: dict[str, Any] = Field(default_factory=dict)
    """Read by another program (``dgdr_webhooks.settings``)."""

    @model_validator(mode="after")
    def _names_what_it_takes(self) -> Self:
        if self.mode is Mode.TAKEOVER and not (self.namespaces and self.takeover):
            raise ValueError(
                "mode Takeover takes namespaces from NVIDIA's operator; name them in namespaces, "
                "and in takeover as whom"
            )
        return self


def parse(text: str) -> Settings:
    """Read settings from YAML; raises SettingsError."""
    return shared.parse(Settings, text)


def load() -> Settings:
    """Read the file that the chart mounts, or the one that DGDR_CONFIG names."""
    return shared.load(Settings)
