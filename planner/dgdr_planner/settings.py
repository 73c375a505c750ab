"""The planner's part of the installation's configuration file."""

from pydantic import ConfigDict

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

__all__ = ["HealthServer", "Prometheus", "Settings", "SettingsError", "Switch", "load", "parse"]


class Settings(Section):
    """What an installation can set."""

    # The operator reads the same file; what it alone needs is none of our business.
    model_config = ConfigDict(extra="ignore")

    mode: Mode = Mode.STANDALONE
    namespaces: tuple[str, ...] = ()
    prometheus: Prometheus = Prometheus()
    health: HealthServer = HealthServer()
    leader_election: LeaderElection | None = None
    switch: Switch = Switch()


def parse(text: str) -> Settings:
    """Read settings from YAML; raises SettingsError."""
    return shared.parse(Settings, text)


def load() -> Settings:
    """Read the file that the chart mounts, or the one that DGDR_CONFIG names."""
    return shared.load(Settings)
