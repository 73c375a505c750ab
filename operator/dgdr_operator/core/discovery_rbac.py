"""The account of a graph's pods and the rights that Dynamo's Kubernetes discovery needs."""

from collections.abc import Iterable
from typing import Any

from dgdr_api.graph import Graph
from dgdr_api.names import NVIDIA_GROUP
from dgdr_operator.core.workload_labels import graph_labels

RBAC_GROUP = "rbac.authorization.k8s.io"

# All that Dynamo 1.0.2 was seen to use: it finds pods through EndpointSlices and publishes what
# each of them serves in an object of its own.
DISCOVERY_RULES = (
    {
        "apiGroups": ["discovery.k8s.io"],
        "resources": ["endpointslices"],
        "verbs": ["list", "watch"],
    },
    {
        "apiGroups": [NVIDIA_GROUP],
        "resources": ["dynamoworkermetadatas"],
        "verbs": ["list", "watch", "create", "patch"],
    },
)

Manifest = dict[str, Any]


def service_account_name(graph: str) -> str:
    """Name of a graph's ServiceAccount, Role and RoleBinding."""
    return f"{graph}-k8s-service-discovery"


def discovery_rbac(graph: Graph, accounts: Iterable[str]) -> list[Manifest]:
    """Return ServiceAccount, Role and RoleBinding.

    ``accounts`` are all accounts that the graph's pods run as: one that the user chose needs the
    same rights, or its pods would end, with exit code 0, at registration.
    """
    name = service_account_name(graph.name)
    metadata = {"name": name, "namespace": graph.namespace, "labels": graph_labels(graph)}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {
            "apiVersion": f"{RBAC_GROUP}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [dict(rule) for rule in DISCOVERY_RULES],
        },
        {
            "apiVersion": f"{RBAC_GROUP}/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": {"apiGroup": RBAC_GROUP, "kind": "Role", "name": name},
            "subjects": [
                {"kind": "ServiceAccount", "name": account, "namespace": graph.namespace}
                for account in sorted({name, *accounts})
            ],
        },
    ]
