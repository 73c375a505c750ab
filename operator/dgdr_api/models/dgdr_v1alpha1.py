"""DynamoGraphDeploymentRequest, nvidia.com/v1alpha1: what the API server takes in that version.

Stored is v1beta1 (``dgdr_api.conversion``); no program of ours reads this model. What it does not
name passes, is kept by the conversion, and is named in a warning.
"""

from typing import Literal

from pydantic import Field

from dgdr_api.models.base import (
    Conditions,
    EmbeddedResource,
    Int64,
    OpenModel,
    RawObject,
    Resource,
)
from dgdr_api.models.dgdr_v1beta1 import Backend

WARNING = (
    "nvidia.com/v1alpha1 DynamoGraphDeploymentRequest is deprecated; use nvidia.com/v1beta1 "
    "DynamoGraphDeploymentRequest"
)


class ConfigMapKey(OpenModel):
    """One key of a ConfigMap."""

    name: str = Field(description="Name of the ConfigMap, in the request's namespace.")
    key: str | None = Field(default=None, description="Key in it. Default: disagg.yaml.")


class ProfilingConfig(OpenModel):
    """How v1alpha1 asks for profiling."""

    config: RawObject | None = Field(
        default=None,
        description="What the profiler reads: sla, deployment, planner, sweep and others, in "
        "camelCase or snake_case.",
    )
    config_map_ref: ConfigMapKey | None = Field(
        default=None, description="Deployment that profiling starts from."
    )
    profiler_image: str | None = Field(
        default=None, description="Image of the profiling Job; the workers' is derived from it."
    )
    output_pvc: str | None = Field(
        default=None, alias="outputPVC", description="PersistentVolumeClaim for the results."
    )
    resources: RawObject | None = Field(
        default=None, description="Resources of the profiling container."
    )
    tolerations: tuple[RawObject, ...] | None = Field(
        default=None, description="Tolerations of the profiling pod."
    )
    node_selector: dict[str, str] | None = Field(
        default=None, description="Nodes for the profiling pod, by their labels."
    )


class DeploymentOverrides(OpenModel):
    """Changes to the generated deployment."""

    name: str | None = Field(default=None, description="Name of the deployment.")
    namespace: str | None = Field(default=None, description="Namespace of the deployment.")
    labels: dict[str, str] | None = Field(default=None, description="Labels of the deployment.")
    annotations: dict[str, str] | None = Field(
        default=None, description="Annotations of the deployment."
    )
    workers_image: str | None = Field(default=None, description="Image of the workers.")


class DGDRSpec(OpenModel):
    """What is wanted, in the words of v1alpha1."""

    model: str = Field(min_length=1, description="Name of the model, or an absolute path.")
    backend: Backend | None = Field(default=None, description="Inference engine. Default: auto.")
    use_mocker: bool | None = Field(
        default=None, description="Deploy Dynamo's mocker in place of the engine. Default: false."
    )
    enable_gpu_discovery: bool | None = Field(
        default=None, description="Kept, without effect: GPUs are discovered where none are given."
    )
    profiling_config: ProfilingConfig | None = Field(
        default=None, description="How to profile, and for what."
    )
    auto_apply: bool | None = Field(
        default=None, description="Create the generated deployment at once. Default: false."
    )
    deployment_overrides: DeploymentOverrides | None = Field(
        default=None, description="Changes to the generated deployment."
    )
    runtime_version_override: str | None = Field(
        default=None, max_length=14, description="Dynamo version (X.Y.Z) inside the image."
    )


class GeneratedDeployment(OpenModel):
    """The generated deployment as it was made."""

    name: str | None = Field(default=None, description="Name of the deployment.")
    namespace: str | None = Field(default=None, description="Namespace of the deployment.")
    state: str | None = Field(default=None, description="State of the deployment.")
    created: bool | None = Field(default=None, description="Whether it was created.")


class DGDRStatus(OpenModel):
    """How far the request has come, in the words of v1alpha1."""

    state: str | None = Field(
        default=None,
        description="Initializing, Pending, Profiling, Deploying, Ready, Failed or "
        "DeploymentDeleted.",
    )
    backend: str | None = Field(default=None, description="Inference engine.")
    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that this status speaks about."
    )
    conditions: Conditions = Field(default=(), description="What is known, by type.")
    profiling_results: str | None = Field(default=None, description="Where the results are.")
    generated_deployment: EmbeddedResource | None = Field(
        default=None, description="The generated DynamoGraphDeployment."
    )
    deployment: GeneratedDeployment | None = Field(
        default=None, description="The deployment that was made of it."
    )


class DynamoGraphDeploymentRequest(Resource):
    """A model and its latency targets, to be profiled and deployed."""

    api_version: Literal["nvidia.com/v1alpha1"] = "nvidia.com/v1alpha1"
    kind: Literal["DynamoGraphDeploymentRequest"] = "DynamoGraphDeploymentRequest"
    spec: DGDRSpec = Field(description="What is wanted.")
    status: DGDRStatus = Field(default=DGDRStatus(), description="How far the request has come.")
