"""The operator's configuration: one YAML file, validated once, at the start."""

import os
from enum import StrEnum
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

CONFIG_ENV = "DGDR_CONFIG"
CONFIG_PATH = "/etc/dgdr/config.yaml"


class SettingsError(Exception):
    """The configuration cannot be used; the text says what to change."""


class _Section(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )


class Mode(StrEnum):
    """Who owns the nvidia.com kinds."""

    STANDALONE = "standalone"


class Images(_Section):
    """Images of what the operator starts itself."""

    profiler: str = Field(min_length=1)
    dynamo_mocker: str = ""
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


class DataPlane(_Section):
    """What Dynamo's processes use to find and call each other."""

    discovery: str = "kubernetes"
    request_plane: str = "tcp"
    event_plane: str = "zmq"
    nats_url: str = ""
    etcd_endpoints: str = ""
    model_express_url: str = ""
    pre_stop_seconds: int = Field(default=5, ge=0)


class Prometheus(_Section):
    """Where metrics are; the interval is the planner's, which reads the same file."""

    url: str = ""
    scrape_interval_seconds: float = Field(default=5.0, gt=0)


class Profiling(_Section):
    """Rights of the profiling Job, made by the chart."""

    cluster_role: str = "dgdr-operator-profiling"


class HealthServer(_Section):
    """Health and metrics over HTTP."""

    port: int = Field(default=8080, ge=0, le=65535)


class Settings(_Section):
    """Everything that an installation can set."""

    mode: Mode = Mode.STANDALONE
    namespaces: tuple[str, ...] = ()
    images: Images
    data_plane: DataPlane = DataPlane()
    prometheus: Prometheus = Prometheus()
    profiling: Profiling = Profiling()
    health: HealthServer = HealthServer()


def parse(text: str) -> Settings:
    """Read settings from YAML.

    Raises:
        SettingsError: names the field, its value and what was expected.
    """
    try:
        return Settings.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as exc:
        raise SettingsError(f"the configuration is not YAML: {exc}") from exc
    except ValidationError as exc:
        problems = "; ".join(
            f"{'.'.join(map(str, error['loc']))}: {error['msg']} (got {error['input']!r})"
            for error in exc.errors()
        )
        raise SettingsError(f"the configuration is invalid: {problems}") from exc


def load() -> Settings:
    """Read the file that the chart mounts, or the one that DGDR_CONFIG names."""
    path = Path(os.environ.get(CONFIG_ENV) or CONFIG_PATH)
    try:
        return parse(path.read_text())
    except OSError as exc:
        raise SettingsError(
            f"cannot read the configuration {path}: {exc.strerror}; set {CONFIG_ENV} to its path"
        ) from exc
