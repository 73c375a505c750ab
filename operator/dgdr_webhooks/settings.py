"""The webhooks' part of the installation's configuration file."""

from datetime import timedelta

from pydantic import ConfigDict, Field

from dgdr_kube import settings as shared
from dgdr_kube.settings import HealthServer, Section, SettingsError
from dgdr_webhooks.core.certificates import Terms

__all__ = ["Certificate", "Settings", "SettingsError", "Webhooks", "load", "parse"]


class Certificate(Section):
    """Where the certificates are, and how long they last."""

    secret: str = "dgdr-operator-webhooks"
    managed: bool = True
    """Made and renewed by us, which also tells API servers whom to trust; else by somebody else."""
    valid_days: float = Field(default=90.0, gt=0)
    authority_valid_days: float = Field(default=1825.0, gt=0)
    check_seconds: float = Field(default=60.0, gt=0)


class Webhooks(Section):
    """How the API server calls us."""

    namespace: str = "dgdr-system"
    service: str = "dgdr-operator-webhooks"
    hosts: tuple[str, ...] = ()
    """Further names, or addresses, that the certificate is for."""
    port: int = Field(default=9443, ge=0, le=65535)
    configuration: str = "dgdr-operator-webhooks"
    """Name of the validating and of the mutating webhook configuration."""
    default_image: str = ""
    drain_seconds: float = Field(default=5.0, ge=0)
    """How long it serves on after it was told to end: API servers learn of that late."""
    certificate: Certificate = Certificate()

    def names(self) -> tuple[str, ...]:
        """Return the names under which API servers call."""
        full = f"{self.service}.{self.namespace}.svc"
        return (full, f"{full}.cluster.local", *self.hosts)

    def terms(self) -> Terms:
        """Return how long certificates last; a check of every pod settles a new authority."""
        own = self.certificate
        return Terms(
            names=self.names(),
            serving=timedelta(days=own.valid_days),
            authority=timedelta(days=own.authority_valid_days),
            settled=timedelta(seconds=5 * own.check_seconds),
        )


class Settings(Section):
    """What an installation can set."""

    # All programs read one file; what the others need is none of our business.
    model_config = ConfigDict(extra="ignore")

    health: HealthServer = HealthServer()
    webhooks: Webhooks = Webhooks()


def parse(text: str) -> Settings:
    """Read settings from YAML; raises SettingsError."""
    return shared.parse(Settings, text)


def load() -> Settings:
    """Read the file that the chart mounts, or the one that DGDR_CONFIG names."""
    return shared.load(Settings)
