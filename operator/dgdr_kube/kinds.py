"""The kinds that the controllers read or write, and where the API server keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dgdr_api.names import NVIDIA_GROUP, OUR_GROUP


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind as the API server serves it; where it is followed, only objects ``named`` so."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    named: str = field(default="", compare=False)

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of its manifests."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
        """URL path of the collection, of one object, or of one of its subresources."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if self.namespaced and namespace else ""
        tail = "".join(f"/{part}" for part in (name, sub) if part)
        return f"{root}{scope}/{self.plural}{tail}"

    @property
    def fields(self) -> str:
        """The field selector of its collection."""
        return f"metadata.name={self.named}" if self.named else ""

    @property
    def discovery(self) -> "Kind":
        """What the API server answers about all kinds of this group and version."""
        return Kind(self.group, self.version, "", "APIResourceList", namespaced=False)


NAMESPACE = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
NODE = Kind("", "v1", "nodes", "Node", namespaced=False)
POD = Kind("", "v1", "pods", "Pod")
SERVICE = Kind("", "v1", "services", "Service")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")
SECRET = Kind("", "v1", "secrets", "Secret")
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount")
PVC = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
EVENT = Kind("events.k8s.io", "v1", "events", "Event")
DEPLOYMENT = Kind("apps", "v1", "deployments", "Deployment")
REPLICA_SET = Kind("apps", "v1", "replicasets", "ReplicaSet")
LEADER_WORKER_SET = Kind("leaderworkerset.x-k8s.io", "v1", "leaderworkersets", "LeaderWorkerSet")
JOB = Kind("batch", "v1", "jobs", "Job")
ROLE = Kind("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDING = Kind("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
# v1 since Kubernetes 1.34; before it, clusters serve one beta or both.
_DRA_VERSIONS = ("v1", "v1beta2", "v1beta1")
RESOURCE_CLAIMS = tuple(
    Kind("resource.k8s.io", version, "resourceclaims", "ResourceClaim") for version in _DRA_VERSIONS
)
"""The kind in each version, the newest first."""
RESOURCE_CLAIM_TEMPLATES = tuple(
    Kind("resource.k8s.io", version, "resourceclaimtemplates", "ResourceClaimTemplate")
    for version in _DRA_VERSIONS
)
ENDPOINT_SLICE = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
CRD = Kind(
    "apiextensions.k8s.io",
    "v1",
    "customresourcedefinitions",
    "CustomResourceDefinition",
    namespaced=False,
)

VALIDATING_WEBHOOKS = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
    namespaced=False,
)
MUTATING_WEBHOOKS = Kind(
    "admissionregistration.k8s.io",
    "v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
    namespaced=False,
)

DGDR = Kind(
    NVIDIA_GROUP, "v1beta1", "dynamographdeploymentrequests", "DynamoGraphDeploymentRequest"
)
DGD = Kind(NVIDIA_GROUP, "v1beta1", "dynamographdeployments", "DynamoGraphDeployment")
DGDSA = Kind(
    NVIDIA_GROUP,
    "v1beta1",
    "dynamographdeploymentscalingadapters",
    "DynamoGraphDeploymentScalingAdapter",
)
DGD_V1ALPHA1 = replace(DGD, version="v1alpha1")
DGDSA_V1ALPHA1 = replace(DGDSA, version="v1alpha1")
BESIDE_DGDR = replace(DGDR, group=OUR_GROUP)
"""A request where NVIDIA's operator owns the kinds of its group."""
WORKER_METADATA = Kind(NVIDIA_GROUP, "v1alpha1", "dynamoworkermetadatas", "DynamoWorkerMetadata")
PROFILING_POLICY = Kind(OUR_GROUP, "v1alpha1", "profilingpolicies", "ProfilingPolicy")
SLA_PLANNER = Kind(OUR_GROUP, "v1alpha1", "slaplanners", "SLAPlanner")
GPU_BUDGET = Kind(OUR_GROUP, "v1alpha1", "gpubudgets", "GPUBudget")

_KNOWN = {
    (kind.api_version, kind.kind): kind
    for kind in (
        NAMESPACE,
        NODE,
        POD,
        SERVICE,
        CONFIG_MAP,
        SECRET,
        SERVICE_ACCOUNT,
        PVC,
        EVENT,
        DEPLOYMENT,
        REPLICA_SET,
        LEADER_WORKER_SET,
        JOB,
        ROLE,
        ROLE_BINDING,
        LEASE,
        NETWORK_POLICY,
        ENDPOINT_SLICE,
        *RESOURCE_CLAIMS,
        *RESOURCE_CLAIM_TEMPLATES,
        CRD,
        VALIDATING_WEBHOOKS,
        MUTATING_WEBHOOKS,
        DGDR,
        DGD,
        DGDSA,
        DGD_V1ALPHA1,
        DGDSA_V1ALPHA1,
        BESIDE_DGDR,
        WORKER_METADATA,
        PROFILING_POLICY,
        SLA_PLANNER,
        GPU_BUDGET,
    )
}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """Return the kind of a manifest; KeyError names what we have no address for."""
    return _KNOWN[(str(manifest["apiVersion"]), str(manifest["kind"]))]
