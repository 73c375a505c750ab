"""What an SLAPlanner says: the load it saw, the load it plans for, and why replicas changed."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from dgdr_api.models.base import Conditions, Int32, Int64, LenientModel, Timestamp

MAX_DECISIONS = 20
# Whose quantile is planned for until a forecaster has proved itself.
SEEN = "Seen"


class Knowledge(StrEnum):
    """What the metrics say. Unknown is not zero: only a confirmed idle target shrinks."""

    VALUE = "Value"
    IDLE = "Idle"
    UNKNOWN = "Unknown"


class IslQuantile(LenientModel):
    """One point of the distribution of prompt lengths."""

    share: float = Field(description="Share of the requests, from 0 to 1.")
    isl: float = Field(description="Their longest prompt in tokens.")


class OslQuantile(LenientModel):
    """A point of the distribution of answer lengths."""

    share: float = Field(description="Share of the requests, from 0 to 1.")
    osl: float = Field(description="Their longest answer in tokens.")


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
    isl_quantiles: tuple[IslQuantile, ...] | None = Field(
        default=None, description="Distribution of the prompt lengths, ascending."
    )
    osl_quantiles: tuple[OslQuantile, ...] | None = Field(
        default=None, description="Distribution of the answer lengths, ascending."
    )
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
    model: str | None = Field(
        default=None, max_length=63, description="Who expects requestsPerSecond."
    )
    planned_by: str | None = Field(
        default=None,
        max_length=63,
        description="Whose quantile is planned for: a model's, or Seen, that of what was seen.",
    )
    cached_share: float | None = Field(
        default=None,
        description="Share of the prompts' tokens that prefill does not compute, because their KV "
        "cache is there: told by frontends, or proved by TTFT below the curve.",
    )
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
        description="What the need of the curves is multiplied by, at least 1, because requests "
        "were late.",
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
    """What Active would have cost, beside what is there; since the mode became Shadow.

    Its replicas are those that a new process goes on from. Another target begins anew.
    """

    target: str | None = Field(
        default=None, max_length=253, description="The deployment that this is about."
    )

    since: Timestamp = Field(description="When counting began.")
    gpu_hours: float = Field(description="GPU-hours that the decisions would have cost.")
    actual_gpu_hours: float = Field(description="GPU-hours that the target held.")
    prefill: Int32 | None = Field(default=None, description="Prefill replicas of the decisions.")
    decode: Int32 | None = Field(default=None, description="Decode replicas of the decisions.")
    worker: Int32 | None = Field(default=None, description="Aggregated workers of the decisions.")


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


class Summary(LenientModel):
    """What ``kubectl get`` shows: each a few characters, ``?`` where nobody knows."""

    prefill: str | None = Field(
        default=None, max_length=63, description="Prefill replicas: ready/needed, as 5/6."
    )
    decode: str | None = Field(
        default=None, max_length=63, description="Decode replicas: ready/needed, as 5/6."
    )
    worker: str | None = Field(
        default=None, max_length=63, description="Aggregated workers: ready/needed, as 5/6."
    )
    attained: str | None = Field(
        default=None,
        max_length=63,
        description="The lower of attainment.ttft and attainment.itl, as 98.2%.",
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
    summary: Summary | None = Field(
        default=None, description="What kubectl get shows of roles and attainment."
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
