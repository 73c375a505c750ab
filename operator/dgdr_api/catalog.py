"""The kinds that we ship: versions, columns, short names, scale."""

from dataclasses import replace

from dgdr_api.crd import AGE_COLUMN, Column, Crd, Scale, Version
from dgdr_api.models import dgd_v1alpha1, dgdr_v1alpha1
from dgdr_api.models.dgd_v1beta1 import ROOT_RULES, DynamoGraphDeployment
from dgdr_api.models.dgdr_rules import root_rules
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec, DynamoGraphDeploymentRequest
from dgdr_api.models.dgdsa import WARNING as DGDSA_WARNING
from dgdr_api.models.dgdsa import DynamoGraphDeploymentScalingAdapter
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_api.models.profiling_policy import ProfilingPolicy
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata
from dgdr_api.names import NVIDIA_GROUP, OUR_GROUP


def _condition(type_: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{type_}")].{field}'


_SPEC_FIELDS = tuple(field.alias or name for name, field in DGDRSpec.model_fields.items())

DGDR = Crd(
    group=NVIDIA_GROUP,
    kind="DynamoGraphDeploymentRequest",
    plural="dynamographdeploymentrequests",
    short_names=("dgdr",),
    versions=(
        Version(
            name="v1beta1",
            model=DynamoGraphDeploymentRequest,
            columns=(
                Column(name="Model", path=".spec.model"),
                Column(name="Backend", path=".spec.backend"),
                Column(name="Phase", path=".status.phase"),
                Column(name="Profiling", path=".status.profilingPhase"),
                Column(name="Reason", path=_condition("Succeeded", "reason")),
                Column(name="Message", path=_condition("Succeeded", "message")),
                Column(name="DGD", path=".status.dgdName"),
                AGE_COLUMN,
            ),
            root_rules=root_rules(_SPEC_FIELDS),
        ),
        Version(
            name="v1alpha1",
            model=dgdr_v1alpha1.DynamoGraphDeploymentRequest,
            storage=False,
            warning=dgdr_v1alpha1.WARNING,
            columns=(
                Column(name="Model", path=".spec.model"),
                Column(name="Backend", path=".status.backend"),
                Column(name="State", path=".status.state"),
                Column(name="DGD-State", path=".status.deployment.state"),
                AGE_COLUMN,
            ),
        ),
    ),
)

_DGD_COLUMNS = (
    Column(name="Ready", path=_condition("Ready", "status")),
    Column(name="Backend", path=".spec.backendFramework"),
    AGE_COLUMN,
)

DGD = Crd(
    group=NVIDIA_GROUP,
    kind="DynamoGraphDeployment",
    plural="dynamographdeployments",
    short_names=("dgd",),
    versions=(
        Version(
            name="v1beta1",
            model=DynamoGraphDeployment,
            columns=_DGD_COLUMNS,
            root_rules=ROOT_RULES,
        ),
        Version(
            name="v1alpha1",
            model=dgd_v1alpha1.DynamoGraphDeployment,
            storage=False,
            warning=dgd_v1alpha1.WARNING,
            columns=_DGD_COLUMNS,
        ),
    ),
)

_DGDSA_COLUMNS = (
    Column(name="DGD", path=".spec.dgdRef.name"),
    Column(name="Desired", type="integer", path=".spec.replicas"),
    Column(name="Current", type="integer", path=".status.replicas"),
    AGE_COLUMN,
)

DGDSA = Crd(
    group=NVIDIA_GROUP,
    kind="DynamoGraphDeploymentScalingAdapter",
    plural="dynamographdeploymentscalingadapters",
    short_names=("dgdsa",),
    scale=Scale(),
    versions=(
        Version(
            name="v1alpha1",
            model=DynamoGraphDeploymentScalingAdapter,
            storage=False,
            warning=DGDSA_WARNING,
            columns=_DGDSA_COLUMNS,
        ),
        Version(name="v1beta1", model=DynamoGraphDeploymentScalingAdapter, columns=_DGDSA_COLUMNS),
    ),
)

WORKER_METADATA = Crd(
    group=NVIDIA_GROUP,
    kind="DynamoWorkerMetadata",
    plural="dynamoworkermetadatas",
    versions=(Version(name="v1alpha1", model=DynamoWorkerMetadata),),
)

PROFILING_POLICY = Crd(
    group=OUR_GROUP,
    kind="ProfilingPolicy",
    plural="profilingpolicies",
    short_names=("profpol",),
    versions=(
        Version(
            name="v1alpha1",
            model=ProfilingPolicy,
            columns=(
                Column(name="Engine", path=".spec.candidateEngine"),
                Column(name="GPUs", type="integer", path=".spec.gpusAtOnce"),
                AGE_COLUMN,
            ),
        ),
    ),
)

SLA_PLANNER = Crd(
    group=OUR_GROUP,
    kind="SLAPlanner",
    plural="slaplanners",
    short_names=("slap",),
    versions=(
        Version(
            name="v1alpha1",
            model=SLAPlanner,
            columns=(
                *(
                    Column(
                        name=role.title(),
                        path=f".status.summary.{role}",
                        description="Replicas: ready/needed by the load, before limits.",
                    )
                    for role in ("prefill", "decode", "worker")
                ),
                Column(
                    name="Attained",
                    path=".status.summary.attained",
                    description="Share of the last hour's requests within the targets.",
                ),
                Column(name="Limited", path=_condition("ScalingLimited", "status")),
                Column(name="Ready", path=_condition("Ready", "status")),
                Column(name="Reason", path=_condition("Ready", "reason")),
                AGE_COLUMN,
                Column(name="Target", path=".spec.targetRef.name", priority=1),
                Column(name="Limit", path=_condition("ScalingLimited", "message"), priority=1),
            ),
        ),
    ),
)

GPU_BUDGET = Crd(
    group=OUR_GROUP,
    kind="GPUBudget",
    plural="gpubudgets",
    versions=(
        Version(
            name="v1alpha1",
            model=GPUBudget,
            columns=(
                Column(name="GPUs", type="integer", path=".spec.gpus"),
                Column(name="Held", type="integer", path=".status.reservedGpus"),
                Column(name="Feasible", path=_condition("Feasible", "status")),
                AGE_COLUMN,
            ),
        ),
    ),
)

BESIDE_DGDR = replace(DGDR, group=OUR_GROUP, short_names=(), versions=DGDR.versions[:1])
"""A request where NVIDIA's operator owns its group; ``dgdr`` goes on to mean NVIDIA's there."""

CRDS = (DGDR, DGD, DGDSA, WORKER_METADATA, PROFILING_POLICY, SLA_PLANNER, GPU_BUDGET)
"""Where this operator owns the nvidia.com kinds."""
CRDS_BESIDE = (BESIDE_DGDR,)
"""What is installed in place of those, and beside our own kinds, where NVIDIA's operator does."""
