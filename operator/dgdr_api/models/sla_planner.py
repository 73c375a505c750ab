"""SLAPlanner, dgdr.dev/v1alpha1: scale a deployment so that its latency targets hold."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from dgdr_api.models.base import ApiModel, Resource
from dgdr_api.models.cel import CelRule
from dgdr_api.models.durations import Duration, duration_of_at_least, duration_s
from dgdr_api.models.sla_planner_metrics import MetricsSource
from dgdr_api.models.sla_planner_policy import (
    Behavior,
    Budget,
    ForecastModel,
    ForecastPolicy,
    Percentile,
    PlannerSla,
    QueueKind,
    RoleBounds,
    Sizing,
    SizingPolicy,
    WhenUnreachable,
)
from dgdr_api.models.sla_planner_status import SLAPlannerStatus

DEFAULT_INTERVAL = "60s"
DEFAULT_STABILIZATION_S = 120
LEAST_DEFAULT_QUANTILE = 0.9
PROMISED = {Percentile.P95: 0.95, Percentile.P99: 0.99}


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


class ConfigMapRef(ApiModel):
    """A ConfigMap of this namespace."""

    name: str = Field(min_length=1, max_length=253, description="Name of the ConfigMap.")


class ProfileSource(ApiModel):
    """Where the measured curves are."""

    config_map_ref: ConfigMapRef = Field(
        description="ConfigMap with prefill_raw_data.json and decode_raw_data.json."
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
    def when_unreachable(self) -> WhenUnreachable:
        """What a role does whose target no number of replicas meets."""
        return self.sla.when_unreachable or WhenUnreachable.BEST_EFFORT

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
        given = self.forecast.quantile if self.forecast else None
        return given or PROMISED.get(self.percentile, LEAST_DEFAULT_QUANTILE)

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
