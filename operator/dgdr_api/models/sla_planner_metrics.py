"""Where an SLAPlanner reads the load: a Prometheus, and what it is asked with."""

from typing import Annotated, ClassVar

from pydantic import Field

from dgdr_api.models.base import ApiModel
from dgdr_api.models.cel import CelRule
from dgdr_api.models.durations import Duration, duration_of_at_least, duration_s

PrometheusTimeout = Annotated[
    Duration,
    Field(
        json_schema_extra=duration_of_at_least(
            "100ms", "timeout is shorter than 100ms; no Prometheus answers by then", "60s"
        )
    ),
]


class SecretKey(ApiModel):
    """One key of a Secret in this namespace."""

    name: str = Field(min_length=1, max_length=253, description="Name of the Secret.")
    key: str | None = Field(
        default=None, min_length=1, max_length=253, description="Key. Default: token."
    )


class SecretName(ApiModel):
    """A Secret in this namespace."""

    name: str = Field(min_length=1, max_length=253, description="Name of the Secret.")


class ConfigMapKey(ApiModel):
    """One key of a ConfigMap in this namespace."""

    name: str = Field(min_length=1, max_length=253, description="Name of the ConfigMap.")
    key: str | None = Field(
        default=None, min_length=1, max_length=253, description="Key. Default: ca.crt."
    )


# No user, query or fragment: each could be a credential, and all are shown to everybody.
PROMETHEUS_URL = r"^https?://[^/?#@\s]+(/[^?#\s]*)?$"


class PrometheusSource(ApiModel):
    """A Prometheus that scrapes the target's frontends."""

    url: str = Field(
        min_length=1,
        max_length=2048,
        description="Base URL, such as http://prometheus.monitoring.svc:9090.",
    )
    token_secret_ref: SecretKey | None = Field(
        default=None,
        description="Bearer token. The installation lists the names that such Secrets may have.",
    )
    ca_config_map_ref: ConfigMapKey | None = Field(
        default=None,
        description="CA bundle in PEM that the server's certificate is checked with. Default: "
        "the CAs of the planner's image.",
    )
    client_certificate_secret_ref: SecretName | None = Field(
        default=None,
        description="Client certificate: a Secret with tls.crt and tls.key. The installation "
        "lists the names that such Secrets may have.",
    )
    parameters: (
        Annotated[
            dict[str, Annotated[str, Field(max_length=256)]],
            Field(json_schema_extra={"maxProperties": 16}),
        ]
        | None
    ) = Field(
        default=None,
        description="Query parameters of each request, such as dedup or a tenant. No secrets: "
        "whoever may read this object may read them.",
    )
    timeout: PrometheusTimeout | None = Field(
        default=None, description="Time for one answer, from 100ms to 60s. Default: 10s."
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="self.url.matches('^https?://.+')",
            message="begin the URL with http:// or https://",
            at=".url",
        ),
        CelRule(
            expression="!self.url.matches('^https?://.+') || "
            f"self.url.matches(r'{PROMETHEUS_URL}')",
            message="leave user, query (?) and fragment (#) out of the URL: use tokenSecretRef, "
            "clientCertificateSecretRef and parameters",
            at=".url",
        ),
        CelRule(
            expression="!(has(self.caConfigMapRef) || has(self.clientCertificateSecretRef)) || "
            "self.url.startsWith('https://')",
            message="begin the URL with https://, or leave CA bundle and client certificate out: "
            "http uses neither",
            at=".url",
        ),
        CelRule(
            expression="!has(self.parameters) || self.parameters.all(name, "
            "!(name in ['query', 'time', 'start', 'end', 'step', 'timeout']))",
            message="query, time, start, end, step and timeout are the planner's own; leave them "
            "out",
            at=".parameters",
        ),
    )

    @property
    def timeout_s(self) -> float | None:
        """Seconds for one answer; None is the default."""
        return duration_s(self.timeout) if self.timeout else None


class MetricsSource(ApiModel):
    """Where the load is read."""

    prometheus: PrometheusSource | None = Field(
        default=None, description="A Prometheus. Default: the installation's."
    )
