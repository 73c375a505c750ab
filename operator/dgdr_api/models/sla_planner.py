"""SLAPlanner, dgdr.dev/v1alpha1: scale a deployment so that its latency targets hold."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dgdr_api.models.base import (
    ApiModel,
    Conditions,
    Int32,
    Int64,
    LenientModel,
    Resource,
    Timestamp,
)
from dgdr_api.models.cel import CelRule
from dgdr_api.models.durations import Duration, duration_of_at_least, duration_s

MAX_DECISIONS = 20
DEFAULT_INTERVAL = "60s"
DEFAULT_STABILIZATION_S = 300


class PlannerMode(StrEnum):
    """Whether decisions are carried out."""

    ACTIVE = "Active"
    SHADOW = "Shadow"


class TargetRef(ApiModel):
    """The deployment that is scaled."""

    kind: Literal["DynamoGraphDeployment"] = Field(
        default="DynamoGraphDeployment",
        description="Kind of the target. Default: DynamoGraphDeployment.",
    )
    name: str = Field(min_length=1, max_length=253, description="Name, in this namespace.")


class Percentile(StrEnum):
    """Which requests the latency targets speak about."""

    MEAN = "mean"
    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"


class PlannerSla(ApiModel):
    """Latency targets of one request."""

    ttft_ms: float = Field(gt=0, description="Time to first token in milliseconds.")
    itl_ms: float = Field(gt=0, description="Time between output tokens in milliseconds.")
    percentile: Percentile | None = Field(
        default=None,
        description="Requests that the targets speak about: their mean, or the share of them "
        "that must be within the targets. Default: mean.",
    )


class ConfigMapRef(ApiModel):
    """A ConfigMap of this namespace."""

    name: str = Field(min_length=1, max_length=253, description="Name of the ConfigMap.")


class ProfileSource(ApiModel):
    """Where the measured curves are."""

    config_map_ref: ConfigMapRef = Field(
        description="ConfigMap with prefill_raw_data.json and decode_raw_data.json."
    )


class Bounds(ApiModel):
    """Limits of one role's replicas."""

    min: Int32 | None = Field(default=None, ge=1, description="Fewest replicas. Default: 1.")
    max: Int32 = Field(ge=1, description="Most replicas.")

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="!has(self.min) || self.min <= self.max",
            message="min is larger than max; no number of replicas fits",
            at=".min",
        ),
    )

    @property
    def floor(self) -> int:
        """The fewest replicas, with the default applied."""
        return 1 if self.min is None else self.min


class RoleBounds(ApiModel):
    """Limits by role."""

    prefill: Bounds = Field(description="Replicas of the prefill workers.")
    decode: Bounds = Field(description="Replicas of the decode workers.")


class ScaleUp(ApiModel):
    """How fast replicas are added."""

    max_step: Int32 | None = Field(
        default=None, ge=1, description="Replicas added to a role at once. Default: no limit."
    )


class ScaleDown(ApiModel):
    """How fast replicas are taken away."""

    stabilization_window_seconds: Int32 | None = Field(
        default=None,
        ge=0,
        le=86400,
        description="Seconds for which fewer replicas must have been enough. Default: 300.",
    )
    max_step: Int32 | None = Field(
        default=None, ge=1, description="Replicas taken from a role at once. Default: 1."
    )


class Behavior(ApiModel):
    """How fast replicas change."""

    scale_up: ScaleUp | None = Field(default=None, description="How fast replicas are added.")
    scale_down: ScaleDown | None = Field(
        default=None, description="How fast replicas are taken away."
    )


class PrometheusSource(ApiModel):
    """A Prometheus that scrapes the target's frontends."""

    url: str = Field(
        min_length=1,
        max_length=2048,
        description="Base URL, such as http://prometheus.monitoring.svc:9090.",
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="self.url.matches('^https?://.+')",
            message="begin the URL with http:// or https://",
            at=".url",
        ),
    )


class MetricsSource(ApiModel):
    """Where the load is read."""

    prometheus: PrometheusSource | None = Field(
        default=None, description="A Prometheus. Default: the installation's."
    )


Interval = Annotated[
    Duration,
    Field(
        json_schema_extra=duration_of_at_least(
            "5s", "interval is shorter than 5s; Prometheus has no newer samples by then"
        )
    ),
]


class SLAPlannerSpec(ApiModel):
    """What to scale, by which targets, within which limits."""

    target_ref: TargetRef = Field(description="The deployment that is scaled.")
    mode: PlannerMode | None = Field(
        default=None,
        description="Active scales. Shadow decides and reports, but writes nothing. "
        "Default: Active.",
    )
    suspend: bool | None = Field(
        default=None, description="Stop deciding; replicas stay as they are. Default: false."
    )
    sla: PlannerSla = Field(description="Latency targets.")
    profile: ProfileSource = Field(description="Where the measured curves are.")
    roles: RoleBounds = Field(description="Limits of the replicas, by role.")
    interval: Interval | None = Field(
        default=None, description="Time between decisions, such as 60s. Default: 60s."
    )
    behavior: Behavior | None = Field(default=None, description="How fast replicas change.")
    metrics: MetricsSource | None = Field(default=None, description="Where the load is read.")

    @property
    def interval_s(self) -> float:
        """Seconds between decisions."""
        return duration_s(self.interval or DEFAULT_INTERVAL)

    @property
    def is_shadow(self) -> bool:
        """Whether nothing may be written."""
        return self.mode is PlannerMode.SHADOW

    @property
    def is_suspended(self) -> bool:
        """Whether no decision is taken."""
        return bool(self.suspend)

    @property
    def percentile(self) -> Percentile:
        """Which requests the latency targets speak about."""
        return self.sla.percentile or Percentile.MEAN

    @property
    def stabilization_s(self) -> int:
        """Seconds for which fewer replicas must have been enough."""
        down = self.behavior.scale_down if self.behavior else None
        given = down.stabilization_window_seconds if down else None
        return DEFAULT_STABILIZATION_S if given is None else given

    @property
    def max_step_down(self) -> int:
        """Replicas taken from a role at once."""
        down = self.behavior.scale_down if self.behavior else None
        return (down.max_step if down else None) or 1

    @property
    def max_step_up(self) -> int | None:
        """Replicas added to a role at once; ``None`` is no limit."""
        up = self.behavior.scale_up if self.behavior else None
        return up.max_step if up else None

    @property
    def prometheus_url(self) -> str | None:
        """The planner's own Prometheus, if it names one."""
        source = self.metrics.prometheus if self.metrics else None
        return source.url if source else None


class Knowledge(StrEnum):
    """What the metrics say. Unknown is not zero: only a confirmed idle target shrinks."""

    VALUE = "Value"
    IDLE = "Idle"
    UNKNOWN = "Unknown"


class Observed(LenientModel):
    """The load and the latencies of the last interval; what is unknown is left out."""

    time: Timestamp | None = Field(default=None, description="When the metrics were read.")
    knowledge: Knowledge | None = Field(
        default=None,
        description="Value: there was load. Idle: fresh samples say that there was none. "
        "Unknown: no fresh samples.",
    )
    requests_per_second: float | None = Field(default=None, description="Requests per second.")
    isl: float | None = Field(default=None, description="Mean prompt length in tokens.")
    osl: float | None = Field(default=None, description="Mean answer length in tokens.")
    ttft_ms: float | None = Field(
        default=None, description="Mean time to first token in milliseconds."
    )
    itl_ms: float | None = Field(
        default=None, description="Mean time between output tokens in milliseconds."
    )
    frontends: Int32 | None = Field(default=None, description="Frontends whose samples were fresh.")


class Forecast(LenientModel):
    """The load that the replicas are chosen for."""

    requests_per_second: float | None = Field(default=None, description="Requests per second.")
    isl: float | None = Field(default=None, description="Prompt length in tokens.")
    osl: float | None = Field(default=None, description="Answer length in tokens.")


class RoleStatus(LenientModel):
    """Replicas of one role."""

    role: str = Field(max_length=63, description="prefill or decode.")
    component: str | None = Field(default=None, description="Component of the target.")
    replicas: Int32 | None = Field(default=None, description="Replicas that are wanted.")
    ready_replicas: Int32 | None = Field(default=None, description="Replicas that are ready.")
    desired_replicas: Int32 | None = Field(
        default=None, description="Replicas that the load needs, before limits."
    )
    gpus_per_replica: Int32 | None = Field(default=None, description="GPUs of one replica.")
    below_since: Timestamp | None = Field(
        default=None, description="Since when fewer replicas than these have been enough."
    )


class Change(LenientModel):
    """Replicas before and after a decision."""

    from_: Int32 = Field(alias="from", description="Replicas before.")
    to: Int32 = Field(description="Replicas after.")


class DecisionRecord(LenientModel):
    """One decision that changed replicas, or would have."""

    time: Timestamp = Field(description="When it was taken.")
    reason: str = Field(max_length=1024, description="Why, as one CamelCase word.")
    message: str = Field(max_length=4096, description="Why, with the numbers.")
    prefill: Change | None = Field(default=None, description="Replicas of prefill.")
    decode: Change | None = Field(default=None, description="Replicas of decode.")


class SLAPlannerStatus(LenientModel):
    """What the planner saw and did."""

    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that this status speaks about."
    )
    observed: Observed | None = Field(default=None, description="The load of the last interval.")
    forecast: Forecast | None = Field(
        default=None, description="The load that the replicas are chosen for."
    )
    roles: Annotated[
        tuple[RoleStatus, ...],
        Field(
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["role"],
            }
        ),
    ] = Field(default=(), description="Replicas by role.")
    decisions: Annotated[tuple[DecisionRecord, ...], Field(max_length=MAX_DECISIONS)] = Field(
        default=(), description="The last decisions, newest first."
    )
    conditions: Conditions = Field(
        default=(), description="Ready, MetricsAvailable and ScalingLimited, among others."
    )


class SLAPlanner(Resource):
    """Scales prefill and decode of a deployment so that its latency targets hold."""

    api_version: Literal["dgdr.dev/v1alpha1"] = "dgdr.dev/v1alpha1"
    kind: Literal["SLAPlanner"] = "SLAPlanner"
    spec: SLAPlannerSpec = Field(
        description="What to scale, by which targets, within which limits."
    )
    status: SLAPlannerStatus = Field(
        default=SLAPlannerStatus(), description="What the planner saw and did."
    )
