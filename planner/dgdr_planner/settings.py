"""The planner's part of the installation's configuration file, validated once, at the start."""

import os
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

CONFIG_ENV = "DGDR_CONFIG"
CONFIG_PATH = "/etc/dgdr/config.yaml"


class SettingsError(Exception):
    """The configuration cannot be used; the text says what to change."""


class _Section(BaseModel):
    # The operator reads the same file; what it alone needs is none of our business.
    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore"
    )


class Prometheus(_Section):
    """Where metrics are, unless an SLAPlanner names its own."""

    url: str = ""
    scrape_interval_seconds: float = Field(default=5.0, gt=0)


class HealthServer(_Section):
    """Health and metrics over HTTP."""

    port: int = Field(default=8080, ge=0, le=65535)


class Settings(_Section):
    """What an installation can set."""

    namespaces: tuple[str, ...] = ()
    prometheus: Prometheus = Prometheus()
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
