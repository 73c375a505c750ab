"""DynamoGraphDeployment, nvidia.com/v1beta1: the components that serve one model.

The manifest's meaning is read by ``dgdr_api.codec_v1beta1``; this model is its schema.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, WithJsonSchema

from dgdr_api.graph import Role
from dgdr_api.models.base import (
    ApiModel,
    Conditions,
    Int32,
    Int64,
    OpenModel,
    Quantity,
    RawObject,
    Resource,
)
from dgdr_api.models.cel import CelRule, extension
from dgdr_api.names import MAX_WORKLOAD_NAME_CHARS

MAX_COMPONENTS = 25
_NO_EFFECT = (
    "Accepted for manifests of NVIDIA's operator; the condition FieldsWithoutEffect names it."
)


class BackendFramework(StrEnum):
    """Inference engine of the workers."""

    SGLANG = "sglang"
    VLLM = "vllm"
    TRTLLM = "trtllm"


ComponentType = Annotated[
    Literal[Role.FRONTEND, Role.WORKER, Role.PREFILL, Role.DECODE, Role.PLANNER, Role.EPP],
    WithJsonSchema({"type": "string", "enum": [role.value for role in Role if role]}),
]


class DgdState(StrEnum):
    """State of the deployment as a whole."""

    INITIALIZING = "initializing"
    PENDING = "pending"
    SUCCESSFUL = "successful"
    FAILED = "failed"


class ScalingAdapter(ApiModel):
    """Asks for an adapter, which then decides the replicas."""

    enabled: bool | None = Field(
        default=None, description="Whether there is an adapter. Default: true, once this is set."
    )


class Multinode(ApiModel):
    """One engine over several nodes."""

    node_count: Int32 = Field(ge=2, description="Nodes of one engine.")


class CompilationCache(ApiModel):
    """A volume for what the engine compiles."""

    pvc_name: str = Field(
        min_length=1, max_length=253, description="PersistentVolumeClaim of the cache."
    )
    mount_path: str | None = Field(
        default=None,
        max_length=4096,
        description="Where the container sees it. Default: the backend's cache folder.",
    )


class DgdComponent(ApiModel):
    """One component: a frontend, or workers of one kind."""

    name: str = Field(
        min_length=1,
        max_length=MAX_WORKLOAD_NAME_CHARS - 2,
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]*[A-Za-z0-9])?$",
        description="Name, unique in the deployment ignoring case.",
    )
    type: ComponentType | None = Field(
        default=None,
        description="What the component is for. Default: nothing that Dynamo knows; the component "
        "runs as it is written.",
    )
    replicas: Int32 | None = Field(
        default=None,
        ge=0,
        description="Pods (engines, when one spans several nodes). Default: 1, or what the "
        "scaling adapter says.",
    )
    pod_template: RawObject | None = Field(
        default=None,
        description="PodTemplateSpec of the pods. The container that runs the component is "
        "named main and needs an image.",
    )
    scaling_adapter: ScalingAdapter | None = Field(
        default=None,
        description="Make a DynamoGraphDeploymentScalingAdapter, through which the planner "
        "sets the replicas.",
    )
    shared_memory_size: Quantity | None = Field(
        default=None, description='Size of /dev/shm. "0" disables it. Default: 8Gi.'
    )
    multinode: Multinode | None = Field(
        default=None, description="One engine over several nodes. Default: one node."
    )
    compilation_cache: CompilationCache | None = Field(
        default=None, description="A volume for what the engine compiles. Default: none."
    )

    runtime_version_override: str | None = Field(
        default=None,
        max_length=64,
        description="Release of Dynamo in the image, as 1.6.1. Default: from the image's tag.",
    )
    min_available: Int32 | None = Field(default=None, ge=0, description=_NO_EFFECT)
    model_ref: RawObject | None = Field(default=None, description=_NO_EFFECT)
    epp_config: RawObject | None = Field(default=None, description=_NO_EFFECT)
    frontend_sidecar: str | None = Field(
        default=None,
        max_length=253,
        description="Name of a container of podTemplate that runs a frontend beside the engine; it "
        "gets what a frontend's container gets. Default: none.",
    )
    topology_constraint: RawObject | None = Field(default=None, description=_NO_EFFECT)
    global_dynamo_namespace: bool | None = Field(
        default=None,
        description="Dynamo namespace dynamo in place of the deployment's own: components of all "
        "deployments that say so find each other. An SLAPlanner does not see their load. "
        "Default: false.",
    )
    experimental: RawObject | None = Field(default=None, description=_NO_EFFECT)


Components = Annotated[
    tuple[DgdComponent, ...],
    Field(
        min_length=1,
        max_length=MAX_COMPONENTS,
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            **extension(
                CelRule(
                    expression="self.all(c, self.exists_one(d,"
                    " d.name.lowerAscii() == c.name.lowerAscii()))",
                    message="names of components must differ in more than upper and lower case",
                ),
                CelRule(
                    expression="self.filter(c, has(c.type) && c.type == 'epp').size() <= 1",
                    message="only one component may have the type epp",
                ),
            ),
        },
    ),
]


class RestartType(StrEnum):
    """Whether components are restarted in turn."""

    SEQUENTIAL = "Sequential"
    PARALLEL = "Parallel"


class RestartStrategy(ApiModel):
    """In what order components are restarted."""

    type: RestartType | None = Field(
        default=None,
        description="Sequential: the next one when all pods of the one before are ready. Parallel: "
        "all at once. Default: Sequential.",
    )
    order: tuple[str, ...] | None = Field(
        default=None,
        max_length=MAX_COMPONENTS,
        description="Components that go first, in this order. Default: by name.",
    )


class Restart(ApiModel):
    """Asks for new pods."""

    id: str = Field(
        min_length=1,
        max_length=253,
        description="Any text; another one restarts the components once.",
    )
    strategy: RestartStrategy | None = Field(default=None, description="In what order.")


class RestartPhase(StrEnum):
    """How far a restart is."""

    RESTARTING = "Restarting"
    COMPLETED = "Completed"


class RestartStatus(OpenModel):
    """How far the restart is."""

    observed_id: str | None = Field(
        default=None,
        validation_alias="observedID",
        serialization_alias="observedID",
        description="Id of the restart that this speaks about.",
    )
    phase: RestartPhase | None = Field(default=None, description="Restarting, or Completed.")
    in_progress: tuple[str, ...] | None = Field(
        default=None, description="Components whose pods are being replaced."
    )


class DGDSpec(ApiModel):
    """The components that serve one model together."""

    components: Components = Field(description="The components, at most 25.")
    backend_framework: BackendFramework | None = Field(
        default=None, description="Inference engine of the workers. Default: from their command."
    )
    env: tuple[RawObject, ...] | None = Field(
        default=None,
        max_length=200,
        description="Environment of every main container (EnvVar); a component's own wins.",
    )
    labels: dict[str, str] | None = Field(
        default=None, description="Labels of every pod; a component's own win."
    )
    annotations: dict[str, str] | None = Field(
        default=None, description="Annotations of every pod; a component's own win."
    )
    priority_class_name: str | None = Field(
        default=None, max_length=253, description="PriorityClass of every pod; a pod's own wins."
    )
    restart: Restart | None = Field(
        default=None, description="Asks for new pods. Default: none are asked for."
    )
    topology_constraint: RawObject | None = Field(default=None, description=_NO_EFFECT)
    provider_override: RawObject | None = Field(default=None, description=_NO_EFFECT)
    experimental: RawObject | None = Field(default=None, description=_NO_EFFECT)


class ComponentStatus(OpenModel):
    """State of one component."""

    component_kind: str | None = Field(
        default=None, description="Kind of the workload: Deployment or LeaderWorkerSet."
    )
    component_name: str | None = Field(default=None, description="Name of the workload.")
    component_names: tuple[str, ...] | None = Field(
        default=None, description="Names of the workloads."
    )
    replicas: Int32 | None = Field(default=None, description="Pods that are wanted.")
    updated_replicas: Int32 | None = Field(default=None, description="Pods of the newest template.")
    ready_replicas: Int32 | None = Field(default=None, description="Pods that are ready.")
    available_replicas: Int32 | None = Field(
        default=None, description="Pods that have been ready for long enough."
    )
    scheduled_replicas: Int32 | None = Field(default=None, description="Pods that have a node.")
    gpus_per_engine: Int32 | None = Field(default=None, description="GPUs of one engine.")
    gpus_per_replica: Int32 | None = Field(default=None, description="GPUs of one replica.")
    served_model_name: str | None = Field(
        default=None, description="Name under which the model is served."
    )
    runtime_component_name: str | None = Field(
        default=None, description="Name of the component inside Dynamo."
    )
    runtime_namespace: str | None = Field(
        default=None, description="Dynamo's own namespace of the component."
    )

    @property
    def ready(self) -> int | None:
        """What is ready; a PodCliqueScalingGroup is only told to be available."""
        return self.available_replicas if self.ready_replicas is None else self.ready_replicas


class DGDStatus(OpenModel):
    """State of the deployment."""

    state: DgdState | None = Field(default=None, description="State as a whole.")
    conditions: Conditions = Field(
        default=(),
        description="Ready, and Reconciling or Stalled while it is not; UpToDate where pods run as "
        "an earlier operator, or other settings, made them.",
    )
    components: dict[str, ComponentStatus] | None = Field(
        default=None, description="State by component name."
    )
    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that this status speaks about."
    )
    restart: RestartStatus | None = Field(
        default=None, description="How far the restart is that spec.restart asks for."
    )
    last_handled_upgrade_at: str | None = Field(
        default=None,
        description="Value of the annotation dgdr.dev/upgrade-requested-at that was answered last.",
    )


class DynamoGraphDeployment(Resource):
    """The components that serve one model with Dynamo."""

    api_version: Literal["nvidia.com/v1beta1"] = "nvidia.com/v1beta1"
    kind: Literal["DynamoGraphDeployment"] = "DynamoGraphDeployment"
    spec: DGDSpec = Field(description="The components that serve one model together.")
    status: DGDStatus = Field(default=DGDStatus(), description="State of the deployment.")


ROOT_RULES = (
    CelRule(
        expression="self.spec.components.all(c, size(self.metadata.name) + 1 + size(c.name)"
        f" <= {MAX_WORKLOAD_NAME_CHARS})",
        message="the name, a dash and the longest component name may have "
        f"{MAX_WORKLOAD_NAME_CHARS} characters together, as a Service's name; use a shorter one",
        at=".metadata.name",
    ),
)
