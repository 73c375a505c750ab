"""DynamoGraphDeployment, nvidia.com/v1alpha1: what the API server takes in that version.

Stored is v1beta1 (``dgdr_api.conversion``); manifests are read by ``dgdr_api.graph_v1alpha1``.
What it does not name passes, is kept by the conversion, and is named in a warning.
"""

from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from dgdr_api.models.base import Conditions, Int32, Int64, OpenModel, RawObject, Resource
from dgdr_api.models.dgd_v1beta1 import (
    MAX_COMPONENTS,
    BackendFramework,
    ComponentStatus,
    Restart,
)

WARNING = (
    "nvidia.com/v1alpha1 DynamoGraphDeployment is deprecated; use nvidia.com/v1beta1 "
    "DynamoGraphDeployment"
)
_SAME = "As in v1beta1."
_KEPT = "Kept for readers of v1alpha1; nothing here reads it."

Amount = Annotated[
    str | int,
    WithJsonSchema(
        {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    ),
]
"""An amount in whatever words; Kubernetes checks them in the pod."""


class Amounts(OpenModel):
    """Amounts of a pod."""

    cpu: Amount | None = Field(default=None, description="CPUs, such as 4 or 500m.")
    memory: Amount | None = Field(default=None, description="Memory, such as 16Gi.")
    gpu: Amount | None = Field(default=None, description="GPUs.")
    gpu_type: str | None = Field(
        default=None, description="Resource name of the GPUs. Default: nvidia.com/gpu."
    )
    custom: dict[str, Amount] | None = Field(
        default=None, description="Other resources, by their names."
    )


class Resources(OpenModel):
    """What a service's pods ask for."""

    requests: Amounts | None = Field(default=None, description="What is set aside.")
    limits: Amounts | None = Field(default=None, description="The most that is used.")
    claims: tuple[RawObject, ...] | None = Field(default=None, description="Resource claims.")


class PodMetadata(OpenModel):
    """Metadata of a service's pods."""

    labels: dict[str, str] | None = Field(default=None, description="Labels of the pods.")
    annotations: dict[str, str] | None = Field(default=None, description="Annotations of the pods.")


class VolumeMount(OpenModel):
    """A claim that a service mounts."""

    name: str | None = Field(default=None, description="Name of the claim, one of spec.pvcs.")
    mount_point: str | None = Field(default=None, description="Where the container sees it.")
    use_as_compilation_cache: bool | None = Field(
        default=None, description="Whether it holds what the engine compiles."
    )


class SharedMemory(OpenModel):
    """``/dev/shm`` of a service's pods."""

    disabled: bool | None = Field(default=None, description="Whether there is none.")
    size: Amount | None = Field(default=None, description="Its size. Default: 8Gi.")


class Multinode(OpenModel):
    """One engine over several nodes."""

    node_count: Int32 | None = Field(default=None, description="Nodes of one engine. Default: 2.")


class ScalingAdapter(OpenModel):
    """Whether the service has a scaling adapter."""

    enabled: bool | None = Field(default=None, description="Default: false.")


class Service(OpenModel):
    """One service: a frontend, or workers of one kind."""

    component_type: str | None = Field(
        default=None, description="frontend, worker, prefill, decode, planner, epp, or another."
    )
    sub_component_type: str | None = Field(
        default=None, description="prefill or decode, of a worker."
    )
    service_name: str | None = Field(default=None, description=_KEPT)
    dynamo_namespace: str | None = Field(default=None, description=_KEPT)
    global_dynamo_namespace: bool | None = Field(default=None, description=_SAME)
    replicas: Int32 | None = Field(default=None, ge=0, description="Pods. Default: 1.")
    min_available: Int32 | None = Field(default=None, ge=0, description=_SAME)
    resources: Resources | None = Field(default=None, description="What the pods ask for.")
    envs: tuple[RawObject, ...] | None = Field(
        default=None, description="Environment of the main container (EnvVar)."
    )
    env_from_secret: str | None = Field(
        default=None, description="Secret whose keys are variables of the main container."
    )
    volume_mounts: tuple[VolumeMount, ...] | None = Field(
        default=None, description="Claims that the main container mounts."
    )
    shared_memory: SharedMemory | None = Field(default=None, description="Its /dev/shm.")
    liveness_probe: RawObject | None = Field(
        default=None, description="Liveness probe of the main container."
    )
    readiness_probe: RawObject | None = Field(
        default=None, description="Readiness probe of the main container."
    )
    extra_pod_spec: RawObject | None = Field(
        default=None, description="PodSpec of the pods, with the container mainContainer."
    )
    extra_pod_metadata: PodMetadata | None = Field(
        default=None, description="Metadata of the pods."
    )
    labels: dict[str, str] | None = Field(default=None, description="Labels of the pods.")
    annotations: dict[str, str] | None = Field(default=None, description="Annotations of the pods.")
    multinode: Multinode | None = Field(default=None, description=_SAME)
    scaling_adapter: ScalingAdapter | None = Field(
        default=None, description="Asks for a scaling adapter."
    )
    runtime_version_override: str | None = Field(default=None, description=_SAME)
    model_ref: RawObject | None = Field(default=None, description=_SAME)
    epp_config: RawObject | None = Field(default=None, description=_SAME)
    frontend_sidecar: RawObject | None = Field(
        default=None, description="A frontend beside the engine."
    )
    topology_constraint: RawObject | None = Field(default=None, description=_SAME)
    checkpoint: RawObject | None = Field(
        default=None, description="As experimental.checkpoint in v1beta1."
    )
    failover: RawObject | None = Field(
        default=None, description="As experimental.failover in v1beta1."
    )
    gpu_memory_service: RawObject | None = Field(
        default=None, description="As experimental.gpuMemoryService in v1beta1."
    )
    provider_override: RawObject | None = Field(default=None, description=_KEPT)
    autoscaling: RawObject | None = Field(default=None, description=_KEPT)
    ingress: RawObject | None = Field(default=None, description=_KEPT)


Services = Annotated[dict[str, Service], Field(json_schema_extra={"maxProperties": MAX_COMPONENTS})]


class Claim(OpenModel):
    """A PersistentVolumeClaim that services mount."""

    name: str | None = Field(default=None, description="Name of the claim.")
    create: bool | None = Field(default=None, description="Whether it is to be made. " + _KEPT)
    storage_class: str | None = Field(default=None, description=_KEPT)
    size: Amount | None = Field(default=None, description=_KEPT)
    volume_access_mode: str | None = Field(default=None, description=_KEPT)


class DGDSpec(OpenModel):
    """The services that serve one model together."""

    services: Services | None = Field(default=None, description="The services, by their names.")
    backend_framework: BackendFramework | None = Field(
        default=None, description="Inference engine of the workers. Default: from their command."
    )
    envs: tuple[RawObject, ...] | None = Field(
        default=None, description="Environment of every main container; a service's own wins."
    )
    pvcs: tuple[Claim, ...] | None = Field(
        default=None, max_length=100, description="Claims that services mount."
    )
    labels: dict[str, str] | None = Field(default=None, description="Labels of every pod.")
    annotations: dict[str, str] | None = Field(
        default=None, description="Annotations of every pod."
    )
    priority_class_name: str | None = Field(default=None, description=_SAME)
    restart: Restart | None = Field(default=None, description=_SAME)
    topology_constraint: RawObject | None = Field(default=None, description=_SAME)
    provider_override: RawObject | None = Field(default=None, description=_SAME)
    experimental: RawObject | None = Field(default=None, description=_SAME)


class DGDStatus(OpenModel):
    """State of the deployment, in the words of v1alpha1."""

    state: str | None = Field(
        default=None, description="initializing, pending, successful or failed."
    )
    conditions: Conditions = Field(default=(), description="What is known, by type.")
    services: dict[str, ComponentStatus] | None = Field(
        default=None, description="State by service."
    )
    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that this status speaks about."
    )


class DynamoGraphDeployment(Resource):
    """The services that serve one model with Dynamo."""

    api_version: Literal["nvidia.com/v1alpha1"] = "nvidia.com/v1alpha1"
    kind: Literal["DynamoGraphDeployment"] = "DynamoGraphDeployment"
    spec: DGDSpec = Field(description="The services that serve one model together.")
    status: DGDStatus = Field(default=DGDStatus(), description="State of the deployment.")
