"""What an SLAPlanner aims at and within which limits: targets, bounds, budget, sizing, pace."""

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from dgdr_api.models.base import ApiModel, Int32
from dgdr_api.models.cel import CelRule


class Percentile(StrEnum):
    """Which requests the latency targets speak about."""

    MEAN = "mean"
    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"


class WhenUnreachable(StrEnum):
    """What to do for a target that no number of replicas meets."""

    BEST_EFFORT = "BestEffort"
    HOLD = "Hold"
    MAX_OUT = "MaxOut"


class PlannerSla(ApiModel):
    """Latency targets of one request."""

    ttft_ms: float = Field(gt=0, description="Time to first token in milliseconds.")
    itl_ms: float = Field(gt=0, description="Time between output tokens in milliseconds.")
    percentile: Percentile | None = Field(
        default=None,
        description="Requests that the targets speak about: their mean, or the share of them "
        "that must be within the targets. Default: mean.",
    )
    when_unreachable: WhenUnreachable | None = Field(
        default=None,
        description="What a role does whose target no number of replicas meets. BestEffort takes "
        "the replicas that bring 90 % of what is possible, and no more. Hold leaves its replicas "
        "as they are. MaxOut takes all that roles and budget allow. Default: BestEffort.",
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
    ARIMA = "ARIMA"
    PROPHET = "Prophet"


class ForecastPolicy(ApiModel):
    """Which load is planned for."""

    model: ForecastModel | None = Field(
        default=None,
        description="Auto expects what the model says that has clearly erred less than LastValue "
        "lately, and plans by a model once it would have done better than what was seen. "
        "HoltWinters learns seasons. ARIMA and Prophet need an image of the planner in which "
        "dgdr-operator has the extra of that name. Default: Auto.",
    )
    quantile: float | None = Field(
        default=None,
        ge=0.5,
        lt=1,
        description="Share of the time in which the load shall be no higher than planned for: more "
        "holds the targets in bursts, less gives GPUs back sooner. Default: what sla.percentile "
        "promises, 0.95 for p95 and 0.99 for p99; otherwise 0.9.",
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
