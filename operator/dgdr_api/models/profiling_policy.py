"""ProfilingPolicy, dgdr.dev/v1alpha1: how to profile, where a DGDR says for what.

A platform team owns the limits; a DGDR chooses a policy by the annotation
``dgdr.dev/profiling-policy``.
"""

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from dgdr_api.models.base import ApiModel, Int32, Resource
from dgdr_api.models.cel import CelRule
from dgdr_api.models.durations import Duration, duration_s
from dgdr_api.models.job_freedom import JobFreedom
from dgdr_api.models.profiled_model import ProfiledModel

DEFAULT_PROFILES = "mocker-profiles"


class CandidateEngine(StrEnum):
    """What the candidates run."""

    BACKEND = "backend"
    """The DGDR's backend, on real GPUs."""
    MOCKER = "mocker"
    """Dynamo's mocker, fed with performance data: needs no GPU, measures the simulation."""


class MockerCandidates(ApiModel):
    """Mockers that stand for the engines, each mapping with its own performance data."""

    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Image with the mocker: of Dynamo 1.1 or newer, or ours of 1.0; its tag says "
        "which, and none is the newest. Default: the installation's dynamo-mocker image.",
    )
    model_path: str | None = Field(
        default=None,
        max_length=4096,
        description="Model folder in the image. Default: the DGDR's model where its modelCache "
        "has the files, else /model.",
    )
    model_name: str | None = Field(
        default=None,
        max_length=253,
        description="Name under which it is served. Default: the DGDR's model where its modelCache "
        "has the files, else model.",
    )
    profiles_config_map: str | None = Field(
        default=None,
        max_length=253,
        description="ConfigMap with the engines' performance data, keys tp-<n>.npz, "
        "tep-<n>.npz, dep-<n>.npz, in the DGDR's namespace; with backend auto "
        "<backend>-tp-<n>.npz of each backend that competes. Default: mocker-profiles.",
    )
    speedup_ratio: float | None = Field(
        default=None,
        gt=0,
        description="Divides every simulated time; below 1 is slower. Default: 1.",
    )
    kv_blocks: Int32 | None = Field(
        default=None, ge=1, description="KV blocks of one mocker. Default: the mocker's own."
    )


class ProfilingPolicySpec(ApiModel):
    """Limits and methods of profiling."""

    candidate_engine: CandidateEngine | None = Field(
        default=None,
        description="backend: candidates run the DGDR's engine. mocker: they run Dynamo's "
        "mocker. Default: backend.",
    )
    mocker: MockerCandidates | None = Field(
        default=None, description="The mockers, when candidateEngine is mocker."
    )
    model: ProfiledModel | None = Field(
        default=None,
        description="What the model is; each field wins over the model's config.json. Default: "
        "config.json alone.",
    )
    prefill_points: Int32 | None = Field(
        default=None,
        ge=4,
        le=64,
        description="Prompt lengths on the winner's prefill curve. Default: 6.",
    )
    decode_points: Int32 | None = Field(
        default=None,
        ge=9,
        le=256,
        description="Points of the winner's decode grid. Default: 9.",
    )
    min_gpus_per_engine: Int32 | None = Field(
        default=None, ge=1, description="GPUs of the smallest engine tried. Default: 1."
    )
    max_gpus_per_engine: Int32 | None = Field(
        default=None,
        ge=1,
        description="GPUs of the largest engine tried. Default: the GPUs of one node, or a few "
        "times what the weights need where that is more.",
    )
    gpus_at_once: Int32 | None = Field(
        default=None,
        ge=1,
        description="GPUs that all candidates together may hold. Default: the DGDR's "
        "hardware.totalGpus.",
    )
    kv_transfer_gb_per_s: float | None = Field(
        default=None,
        gt=0,
        description="What the link between a prefill and a decode engine carries, in 10^9 bytes a "
        "second. The KV transfer in the time to first token is estimated with it where no pair "
        "was measured, and mockers send with it, whatever their speedupRatio. Default: 450 of "
        "mockers, NVLink inside one node; of engines unknown.",
    )
    deadline: Duration | None = Field(
        default=None,
        description="Time after which no candidate is started, such as 4h. Default: none.",
    )
    candidate_timeout: Duration | None = Field(
        default=None,
        description="Time for a candidate to become ready, such as 30m. Default: 30m.",
    )
    schedule_timeout: Duration | None = Field(
        default=None,
        description="Time for a pod of a candidate to get a node, such as 10m; longer while an "
        "autoscaler makes one. Default: 10m.",
    )
    namespaces: tuple[str, ...] | None = Field(
        default=None,
        max_length=256,
        description="Namespaces whose requests may choose this policy, where the installation "
        "keeps all policies in one namespace. Default: all.",
    )
    overrides: JobFreedom | None = Field(
        default=None,
        description="What overrides.profilingJob of a request may set beyond resources, "
        "environment, placement, labels and volumes of its namespace. Default: nothing.",
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = (
        CelRule(
            expression="!has(self.minGpusPerEngine) || !has(self.maxGpusPerEngine)"
            " || self.minGpusPerEngine <= self.maxGpusPerEngine",
            message="minGpusPerEngine is larger than maxGpusPerEngine; no engine fits",
            at=".minGpusPerEngine",
        ),
        CelRule(
            expression="!has(self.mocker) || (has(self.candidateEngine)"
            " && self.candidateEngine == 'mocker')",
            message="mocker has an effect with candidateEngine mocker only; set it, or remove "
            "mocker",
            at=".mocker",
        ),
    )

    @property
    def uses_mocker(self) -> bool:
        """Whether candidates are mockers."""
        return self.candidate_engine is CandidateEngine.MOCKER

    @property
    def mocker_data(self) -> str:
        """ConfigMap with the mockers' performance data."""
        return (self.mocker and self.mocker.profiles_config_map) or DEFAULT_PROFILES

    def serves(self, namespace: str) -> bool:
        """Whether requests of a namespace may choose it."""
        return self.namespaces is None or namespace in self.namespaces

    @property
    def deadline_s(self) -> float | None:
        """Seconds after which no candidate is started."""
        return None if self.deadline is None else duration_s(self.deadline)

    @property
    def candidate_timeout_s(self) -> float:
        """Seconds that a candidate has to become ready."""
        return duration_s(self.candidate_timeout or "30m")

    @property
    def schedule_timeout_s(self) -> float:
        """Seconds that a pod of a candidate has to get a node."""
        return duration_s(self.schedule_timeout or "10m")


class ProfilingPolicy(Resource):
    """How to profile: engines to try, points to measure, limits to keep."""

    api_version: Literal["dgdr.dev/v1alpha1"] = "dgdr.dev/v1alpha1"
    kind: Literal["ProfilingPolicy"] = "ProfilingPolicy"
    spec: ProfilingPolicySpec = Field(description="Limits and methods of profiling.")
