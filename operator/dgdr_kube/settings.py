"""What the configuration files of both programs have in common.

There is one file. Each program reads its own part and validates it once, at the start.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from dgdr_api.models.sla_planner_metrics import PROMETHEUS_URL

CONFIG_ENV = "DGDR_CONFIG"
CONFIG_PATH = "/etc/dgdr/config.yaml"

S = TypeVar("S", bound=BaseModel)


class SettingsError(Exception):
    """The configuration cannot be used; the text says what to change."""


class Section(BaseModel):
    """A part of the file; fields that nobody knows are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )


class HealthServer(Section):
    """Health and metrics over HTTP."""

    port: int = Field(default=8080, ge=0, le=65535)


class LeaderElection(Section):
    """Which Leases decide who of several processes works.

    Without them there is no election, for one process that runs outside of a cluster.
    """

    namespace: str = Field(min_length=1)
    operator_lease: str = Field(min_length=1)
    planner_lease: str = Field(min_length=1)


class Switch(Section):
    """Where the ConfigMap is that stops all planners; without a namespace there is none."""

    namespace: str = ""


class Prometheus(Section):
    """Where metrics are, unless an SLAPlanner names its own.

    ``credentials_directory`` holds what there is of ``token``, ``ca.crt``, ``tls.crt`` and
    ``tls.key``, as a mounted Secret does; ``token_file`` is a token elsewhere, such as that of the
    pod's account. Files are read again for each question, so that they may be rotated.
    """

    url: str = Field(default="", max_length=2048)
    scrape_interval_seconds: float = Field(default=5.0, gt=0)
    timeout_seconds: float = Field(default=10.0, ge=0.1, le=60)
    parameters: dict[str, str] = {}
    token_file: str = ""
    credentials_directory: str = ""

    @field_validator("url")
    @classmethod
    def _has_no_credentials(cls, url: str) -> str:
        if url and not re.fullmatch(PROMETHEUS_URL, url):
            raise ValueError(
                "a base URL is http(s)://HOST[:PORT][/PATH], without user, query and fragment;"
                " credentials belong into files"
            )
        return url


def parse(model: type[S], text: str) -> S:
    """Read settings from YAML.

    Raises:
        SettingsError: names the field, its value and what was expected.
    """
    try:
        return model.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as exc:
        raise SettingsError(f"the configuration is not YAML: {exc}") from exc
    except ValidationError as exc:
        problems = "; ".join(_problem(error) for error in exc.errors())
        raise SettingsError(f"the configuration is invalid: {problems}") from exc


def load(model: type[S]) -> S:
    """Read the file that the chart mounts, or the one that DGDR_CONFIG names."""
    path = Path(os.environ.get(CONFIG_ENV) or CONFIG_PATH)
    try:
        text = path.read_text()
    except OSError as exc:
        raise SettingsError(
            f"cannot read the configuration {path}: {exc.strerror}; set {CONFIG_ENV} to its path"
        ) from exc
    return parse(model, text)


def _problem(error: Mapping[str, Any]) -> str:
    where = ".".join(map(str, error["loc"]))
    # A URL may hold a password: it is described, not repeated.
    got = "" if where.endswith("url") else f" (got {error['input']!r})"
    return f"{where}: {error['msg']}{got}"
