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
DEFAULT_STABILIZATION_S = 120
DEFAULT_QUANTILE = 0.95


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
    """Limits by role; a role that is left out is not scaled."""

    prefill: Bounds | None = Field(default=None, description="Replicas of the prefill workers.")
    decode: Bounds | None = Field(default=None, description="Replicas of the decode workers.")
    worker: Bounds | None = Field(
        default=None, description="Replicas of workers that do both, prefill and decode."
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="has(self.worker) != (has(self.prefill) || has(self.decode))",
            message="give worker alone, or at least one of prefill and decode",
        ),
    )


class Budget(ApiModel):
    """The most GPUs that all roles together may hold, pods that start or stop included."""

    gpus: Int32 | None = Field(default=None, ge=1, description="GPUs of this planner alone.")
    ref: str | None = Field(
        default=None,
        min_length=1,
        max_length=253,
        description="Name of a GPUBudget in this namespace that has this planner as a member.",
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(expression="has(self.gpus) != has(self.ref)", message="give either gpus or ref"),
    )


class SizingPolicy(StrEnum):
    """How replicas follow from the load."""

    QUEUEING = "Queueing"
    CLASSIC = "Classic"


class QueueKind(StrEnum):
    """How prompts find their engine."""

    SHARED = "Shared"
    ROUND_ROBIN = "RoundRobin"
    RANDOM = "Random"


class Sizing(ApiModel):
    """How replicas follow from the load."""

    policy: SizingPolicy | None = Field(
        default=None,
        description="Queueing sizes for the latency targets, waiting included. Classic computes "
        "what NVIDIA's planner 0.9 does, for comparison and migration. Default: Queueing.",
    )
    queue: QueueKind | None = Field(
        default=None,
        description="How prompts find their engine. Shared: the next free engine takes the oldest "
        "prompt. RoundRobin: each engine has a queue, filled in turn. Random: each engine has a "
        "queue, filled by chance. Default: RoundRobin.",
    )


class ForecastModel(StrEnum):
    """What looks ahead."""

    AUTO = "Auto"
    LAST_VALUE = "LastValue"
    DAMPED_TREND = "DampedTrend"
    HOLT_WINTERS = "HoltWinters"
    KALMAN = "Kalman"


class ForecastPolicy(ApiModel):
    """Which load is planned for."""

    model: ForecastModel | None = Field(
        default=None,
        description="Auto takes whichever model has clearly erred less than LastValue lately. "
        "HoltWinters learns seasons. Default: Auto.",
    )
    quantile: float | None = Field(
        default=None,
        ge=0.5,
        lt=1,
        description="Share of the time in which the load shall be no higher than planned for. "
        "Default: 0.95.",
    )


class ScaleUp(ApiModel):
    """How fast replicas are added."""

    stabilization_window_seconds: Int32 | None = Field(
        default=None,
        ge=0,
        le=3600,
        description="Seconds for which more replicas must have been needed. Default: 0.",
    )
    max_step: Int32 | None = Field(
        default=None, ge=1, description="Replicas added to a role at once. Default: no limit."
    )


class ScaleDown(ApiModel):
    """How fast replicas are taken away."""

    stabilization_window_seconds: Int32 | None = Field(
        default=None,
        ge=0,
        le=86400,
        description="Seconds for which fewer replicas must have been enough. Default: 120.",
    )
    max_step: Int32 | None = Field(
        default=None, ge=1, description="Replicas taken from a role at once. Default: no limit."
    )


class Behavior(ApiModel):
    """How fast replicas change."""

    scale_up: ScaleUp | None = Field(default=None, description="How fast replicas are added.")
    scale_down: ScaleDown | None = Field(
        default=None, description="How fast replicas are taken away."
    )


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
    budget: Budget | None = Field(
        default=None, description="The most GPUs that the roles may hold. Default: no limit."
    )
    interval: Interval | None = Field(
        default=None, description="Time between decisions, such as 60s. Default: 60s."
    )
    sizing: Sizing | None = Field(default=None, description="How replicas follow from the load.")
    forecast: ForecastPolicy | None = Field(default=None, description="Which load is planned for.")
    behavior: Behavior | None = Field(default=None, description="How fast replicas change.")
    metrics: MetricsSource | None = Field(default=None, description="Where the load is read.")

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="!has(self.sizing) || !has(self.sizing.policy) || "
            "self.sizing.policy != 'Classic' || "
            "(has(self.roles.prefill) && has(self.roles.decode))",
            message="Classic sizes prefill and decode together; give both roles, or take Queueing",
            at=".sizing",
        ),
    )

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
    def stabilization_up_s(self) -> int:
        """Seconds for which more replicas must have been needed."""
        up = self.behavior.scale_up if self.behavior else None
        return (up.stabilization_window_seconds if up else None) or 0

    @property
    def sizing_policy(self) -> SizingPolicy:
        """How replicas follow from the load."""
        return (self.sizing.policy if self.sizing else None) or SizingPolicy.QUEUEING

    @property
    def queue(self) -> QueueKind:
        """How prompts find their engine."""
        return (self.sizing.queue if self.sizing else None) or QueueKind.ROUND_ROBIN

    @property
    def forecast_model(self) -> ForecastModel:
        """What looks ahead."""
        return (self.forecast.model if self.forecast else None) or ForecastModel.AUTO

    @property
    def quantile(self) -> float:
        """Share of the time in which the load shall be no higher than planned for."""
        return (self.forecast.quantile if self.forecast else None) or DEFAULT_QUANTILE

    @property
    def budget_ref(self) -> str | None:
        """Name of the shared budget."""
        return self.budget.ref if self.budget else None

    @property
    def max_step_down(self) -> int | None:
        """Replicas taken from a role at once; ``None`` is no limit."""
        down = self.behavior.scale_down if self.behavior else None
        return down.max_step if down else None

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
    planned_requests_per_second: float | None = Field(
        default=None, description="Requests per second at the quantile that is planned for."
    )
    quantile: float | None = Field(default=None, description="That quantile.")
    model: str | None = Field(default=None, max_length=63, description="What looked ahead.")
    horizon_seconds: Int32 | None = Field(
        default=None, description="How far ahead: the time to start a replica."
    )


class Capacity(LenientModel):
    """What the measured curves say about one role under the load that is planned for."""

    role: str = Field(max_length=63, description="prefill, decode or worker.")
    needed: float | None = Field(
        default=None, description="Replicas that the load needs, before rounding up."
    )
    latency_ms: float | None = Field(
        default=None,
        description="TTFT of prefill, ITL of decode, expected with the desired replicas.",
    )
    binding: str | None = Field(
        default=None, max_length=63, description="What the number of replicas is due to."
    )
    in_range: bool | None = Field(
        default=None, description="Whether it was read where somebody measured."
    )
    correction: float | None = Field(
        default=None,
        description="Observed latency over that of the curves, at least 1; the target is divided "
        "by it.",
    )


class StartupSource(StrEnum):
    """Where a time to start comes from."""

    MEASURED = "Measured"
    ASSUMED = "Assumed"


class Attainment(LenientModel):
    """How often the targets were met, over the last hour."""

    ttft: float | None = Field(
        default=None, description="Share of the requests in windows whose TTFT was in target."
    )
    itl: float | None = Field(
        default=None, description="Share of the requests in windows whose ITL was in target."
    )
    requests: Int64 | None = Field(default=None, description="Requests that were counted.")
    since: Timestamp | None = Field(default=None, description="Start of the first window.")


class Shadow(LenientModel):
    """What Active would have cost, beside what is there; since the mode became Shadow."""

    since: Timestamp = Field(description="When counting began.")
    gpu_hours: float = Field(description="GPU-hours that the decisions would have cost.")
    actual_gpu_hours: float = Field(description="GPU-hours that the target held.")


class RoleStatus(LenientModel):
    """Replicas of one role."""

    role: str = Field(max_length=63, description="prefill, decode or worker.")
    component: str | None = Field(default=None, description="Component of the target.")
    replicas: Int32 | None = Field(default=None, description="Replicas that are wanted.")
    ready_replicas: Int32 | None = Field(default=None, description="Replicas that are ready.")
    desired_replicas: Int32 | None = Field(
        default=None, description="Replicas that the load needs, before limits."
    )
    gpus_per_replica: Int32 | None = Field(default=None, description="GPUs of one replica.")
    terminating_replicas: Int32 | None = Field(
        default=None, description="Replicas that are stopping and still hold their GPUs."
    )
    below_since: Timestamp | None = Field(
        default=None, description="Since when fewer replicas than these have been enough."
    )
    yields_until: Timestamp | None = Field(
        default=None, description="Until when a number that somebody else wrote is left alone."
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
    worker: Change | None = Field(default=None, description="Replicas of aggregated workers.")


class SLAPlannerStatus(LenientModel):
    """What the planner saw and did."""

    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that this status speaks about."
    )
    observed: Observed | None = Field(default=None, description="The load of the last interval.")
    forecast: Forecast | None = Field(
        default=None, description="The load that the replicas are chosen for."
    )
    capacity: Annotated[
        tuple[Capacity, ...],
        Field(
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["role"],
            }
        ),
    ] = Field(default=(), description="What each role needs for the planned load, and why.")
    startup_seconds: Int32 | None = Field(
        default=None, description="Time from asking for a replica to its being ready."
    )
    startup_source: StartupSource | None = Field(
        default=None, description="Whether that time was measured here, or is an assumption."
    )
    attainment: Attainment | None = Field(
        default=None, description="How often the targets were met, over the last hour."
    )
    shadow: Shadow | None = Field(
        default=None, description="In Shadow: what Active would have cost."
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
    """Scales the workers of a deployment so that its latency targets hold."""

    api_version: Literal["dgdr.dev/v1alpha1"] = "dgdr.dev/v1alpha1"
    kind: Literal["SLAPlanner"] = "SLAPlanner"
    spec: SLAPlannerSpec = Field(
        description="What to scale, by which targets, within which limits."
    )
    status: SLAPlannerStatus = Field(
        default=SLAPlannerStatus(), description="What the planner saw and did."
    )
