"""DynamoGraphDeploymentRequest, nvidia.com/v1beta1.

Fields, phases and words are upstream's, so that its manifests, scripts and dashboards work here.
"""

from enum import StrEnum
from typing import ClassVar, Literal

from pydantic import Field

from dgdr_api.models import dgdr_rules as rules
from dgdr_api.models.base import (
    NULLABLE,
    ApiModel,
    Conditions,
    EmbeddedResource,
    Int32,
    Int64,
    LenientModel,
    OpenModel,
    RawObject,
    Resource,
)
from dgdr_api.models.cel import CelRule


class Backend(StrEnum):
    """Inference engine."""

    AUTO = "auto"
    SGLANG = "sglang"
    TRTLLM = "trtllm"
    VLLM = "vllm"


class SearchStrategy(StrEnum):
    """How much is measured before a configuration is picked."""

    RAPID = "rapid"
    THOROUGH = "thorough"


class OptimizationType(StrEnum):
    """What a pick without numeric targets prefers."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"


class GpuSku(StrEnum):
    """GPU products that upstream knows by name."""

    VR_NVL72 = "vr_nvl72"
    GB200 = "gb200"
    GB200_SXM = "gb200_sxm"
    GB10 = "gb10"
    B300_SXM = "b300_sxm"
    B200_SXM = "b200_sxm"
    H200_SXM = "h200_sxm"
    H100_SXM = "h100_sxm"
    H100_PCIE = "h100_pcie"
    A100_SXM = "a100_sxm"
    A100_PCIE = "a100_pcie"
    A30 = "a30"
    L40S = "l40s"
    L40 = "l40"
    L4 = "l4"
    V100_SXM = "v100_sxm"
    V100_PCIE = "v100_pcie"
    T4 = "t4"
    MI200 = "mi200"
    MI300 = "mi300"


class Interconnect(StrEnum):
    """How the GPUs of one node are joined."""

    PCIE = "pcie"
    NVLINK = "nvlink"


class Phase(StrEnum):
    """Where a request stands."""

    PENDING = "Pending"
    PROFILING = "Profiling"
    READY = "Ready"
    DEPLOYING = "Deploying"
    DEPLOYED = "Deployed"
    FAILED = "Failed"


class ProfilingPhase(StrEnum):
    """What the profiling Job is doing."""

    INITIALIZING = "Initializing"
    SWEEPING_PREFILL = "SweepingPrefill"
    SWEEPING_DECODE = "SweepingDecode"
    SELECTING_CONFIG = "SelectingConfig"
    BUILDING_CURVES = "BuildingCurves"
    GENERATING_DGD = "GeneratingDGD"
    DONE = "Done"


class ModelCache(ApiModel):
    """A volume that holds the model's weights already."""

    pvc_name: str | None = Field(
        default=None,
        max_length=253,
        description="PersistentVolumeClaim with the weights, in the request's namespace.",
    )
    pvc_model_path: str | None = Field(
        default=None,
        max_length=4096,
        description="Folder of the model inside the volume, relative to its root. Default: none; "
        "the volume is the hub's cache (HF_HOME), and the model is found by its name.",
    )
    pvc_mount_path: str | None = Field(
        default=None,
        max_length=4096,
        description="Where containers see the volume. Default: /opt/model-cache.",
    )


class Hardware(ApiModel):
    """The GPUs to plan with; what is not given is discovered from the nodes."""

    gpu_sku: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,62}$",
        description="GPU product, as h100_sxm, or any word of the nodes' label "
        "nvidia.com/gpu.product, as gb300; only nodes with it count. Default: discovered.",
    )
    vram_mb: float | None = Field(
        default=None, gt=0, description="Memory of one GPU in MiB. Default: discovered."
    )
    total_gpus: Int32 | None = Field(
        default=None,
        ge=1,
        description="GPUs that may be used at once. Default: what is discovered, at most 32.",
    )
    num_gpus_per_node: Int32 | None = Field(
        default=None, ge=1, description="GPUs of one node. Default: discovered."
    )
    interconnect: Interconnect | None = Field(
        default=None, description="How the GPUs of one node are joined. Default: discovered."
    )
    rdma: bool | None = Field(
        default=None, description="Whether nodes are joined by RDMA. Default: discovered."
    )


class Workload(ApiModel):
    """The load to plan for."""

    isl: Int32 | None = Field(
        default=None,
        ge=1,
        description="Tokens of a prompt (input). Default: 4000.",
        json_schema_extra=NULLABLE,
    )
    osl: Int32 | None = Field(
        default=None,
        ge=1,
        description="Tokens of an answer (output). Default: 1000.",
        json_schema_extra=NULLABLE,
    )
    concurrency: float | None = Field(
        default=None,
        gt=0,
        description="Requests in flight at once. Excludes requestRate. Without both, the "
        "configuration with the most throughput per GPU is picked.",
        json_schema_extra=NULLABLE,
    )
    request_rate: float | None = Field(
        default=None,
        gt=0,
        description="Requests per second. Excludes concurrency.",
        json_schema_extra=NULLABLE,
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = rules.WORKLOAD


class Sla(ApiModel):
    """Latency targets: ttft with itl, or e2eLatency."""

    ttft: float | None = Field(
        default=None,
        gt=0,
        description="Time to first token in milliseconds. Needs itl. Default: 2000.",
        json_schema_extra=NULLABLE,
    )
    itl: float | None = Field(
        default=None,
        gt=0,
        description="Time between output tokens in milliseconds. Needs ttft. Default: 30.",
        json_schema_extra=NULLABLE,
    )
    e2e_latency: float | None = Field(
        default=None,
        alias="e2eLatency",
        gt=0,
        description="Time of a whole request in milliseconds. Replaces ttft and itl.",
        json_schema_extra=NULLABLE,
    )
    optimization_type: OptimizationType | None = Field(
        default=None, description="What to prefer among configurations that hold the targets."
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = rules.SLA


class Overrides(ApiModel):
    """Changes to what is generated."""

    profiling_job: RawObject | None = Field(
        default=None,
        description="batch/v1 JobSpec whose allowed fields are merged into the profiling Job; "
        "write template.spec.containers as [] when no container changes.",
    )
    dgd: EmbeddedResource | None = Field(
        default=None,
        description="Partial DynamoGraphDeployment, v1alpha1 or v1beta1, merged into every "
        "candidate and into the generated deployment. Needs apiVersion and kind.",
    )
    trust_remote_code: bool | None = Field(
        default=None,
        description="Add --trust-remote-code to vLLM and SGLang workers. Default: false.",
    )


class Switch(ApiModel):
    """Something that is on or off."""

    enabled: bool | None = Field(default=None, description="Whether it is on. Default: false.")


class Features(ApiModel):
    """Optional parts of the deployment."""

    planner: RawObject | None = Field(
        default=None,
        description="Configuration of the SLA planner, with upstream's PlannerConfig keys. "
        "Present, even empty: the deployment is scaled by a planner. Default: no planner.",
        json_schema_extra=NULLABLE,
    )
    kv_router: Switch | None = Field(
        default=None, description="Route requests by cached prefixes (DYN_ROUTER_MODE=kv)."
    )
    mocker: Switch | None = Field(
        default=None,
        description="Deploy Dynamo's mocker in place of the engine: needs no GPU, answers noise.",
    )


class DGDRSpec(ApiModel):
    """What is wanted: a model, its load and its latency targets."""

    model: str = Field(
        min_length=1,
        max_length=4096,
        description="Name of the model, such as Qwen/Qwen3-0.6B, or an absolute path.",
    )
    backend: Backend | None = Field(
        default=None, description="Inference engine. Default: auto, chosen by profiling."
    )
    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="Image of the workers, or any of upstream's images, from which the "
        "backend's runtime image of the same registry and tag is derived.",
    )
    runtime_version_override: str | None = Field(
        default=None,
        max_length=14,
        pattern=rules.VERSION_PATTERN,
        description="Dynamo version (X.Y.Z) inside the image; it chooses the engines' flags. "
        "Default: the image's tag, else the newest known.",
    )
    model_cache: ModelCache | None = Field(
        default=None, description="A volume that holds the model's weights already."
    )
    hardware: Hardware | None = Field(
        default=None, description="The GPUs to plan with. Default: discovered."
    )
    workload: Workload | None = Field(default=None, description="The load to plan for.")
    sla: Sla | None = Field(
        default=None,
        description="Latency targets: ttft with itl, or e2eLatency. Default: ttft 2000 ms, "
        "itl 30 ms.",
    )
    overrides: Overrides | None = Field(default=None, description="Changes to what is generated.")
    features: Features | None = Field(default=None, description="Optional parts of the deployment.")
    search_strategy: SearchStrategy | None = Field(
        default=None,
        description="rapid or thorough; thorough needs a definite backend. Default: rapid.",
    )
    auto_apply: bool | None = Field(
        default=None,
        description="Create the generated deployment at once; otherwise stop at Ready. "
        "Default: true.",
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = rules.DGDR_SPEC


class ParetoPoint(LenientModel):
    """A configuration on the Pareto front."""

    config: RawObject | None = Field(default=None, description="The configuration.")


class ProfilingResults(LenientModel):
    """What profiling found."""

    pareto: tuple[ParetoPoint, ...] | None = Field(
        default=None, description="Deprecated; no longer filled."
    )
    selected_config: RawObject | None = Field(
        default=None, description="The generated DynamoGraphDeployment."
    )


class DeploymentInfo(LenientModel):
    """How much of the generated deployment runs."""

    replicas: Int32 | None = Field(default=None, description="Replicas wanted, all components.")
    available_replicas: Int32 | None = Field(
        default=None, description="Replicas that serve, all components."
    )


class DiscoveredHardware(LenientModel):
    """The GPUs that were found, or given, when profiling started."""

    gpu_sku: str | None = Field(default=None, description="GPU product.")
    vram_mb: float | None = Field(default=None, description="Memory of one GPU in MiB.")
    num_gpus_per_node: Int32 | None = Field(default=None, description="GPUs of one node.")
    total_gpus: Int32 | None = Field(default=None, description="GPUs that may be used at once.")
    source: str | None = Field(default=None, description="Where the figures come from.")


class DGDRStatus(OpenModel):
    """How far the request has come."""

    phase: Phase | None = Field(default=None, description="Where the request stands.")
    profiling_phase: ProfilingPhase | None = Field(
        default=None, description="What the profiling Job is doing, while it runs."
    )
    dgd_name: str | None = Field(
        default=None, description="Name of the generated DynamoGraphDeployment."
    )
    profiling_job_name: str | None = Field(default=None, description="Name of the profiling Job.")
    conditions: Conditions = Field(
        default=(),
        description="Validation, Profiling, SpecGenerated, SLAReachable, DeploymentReady, and "
        "Succeeded, which sums them up; Ready, Reconciling and Stalled say it for other tools.",
    )
    hardware: DiscoveredHardware | None = Field(
        default=None, description="The GPUs that profiling planned with."
    )
    profiling_results: ProfilingResults | None = Field(
        default=None, description="What profiling found."
    )
    deployment_info: DeploymentInfo | None = Field(
        default=None, description="How much of the generated deployment runs."
    )
    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that this status speaks about."
    )
    last_handled_rerun_at: str | None = Field(
        default=None,
        description="Value of the annotation dgdr.dev/rerun-requested-at that was answered last.",
    )


class DynamoGraphDeploymentRequest(Resource):
    """A model and its latency targets, to be profiled and deployed."""

    api_version: Literal["nvidia.com/v1beta1"] = "nvidia.com/v1beta1"
    kind: Literal["DynamoGraphDeploymentRequest"] = "DynamoGraphDeploymentRequest"
    spec: DGDRSpec = Field(description="What is wanted.")
    status: DGDRStatus = Field(default=DGDRStatus(), description="How far the request has come.")
