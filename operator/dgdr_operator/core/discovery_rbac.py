"""The accounts of a graph's pods, with the rights of Dynamo's discovery and of its planner."""

from collections.abc import Iterable
from typing import Any

from dgdr_api.graph import Component, Graph, Role
from dgdr_api.names import NVIDIA_GROUP, component_name
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

# What a planner of upstream's, 0.8 to 1.6, was seen to ask for. It writes this graph alone, unless
# it is the one that scales for the planners of other graphs.
PLANNER_READS = (
    {
        "apiGroups": [NVIDIA_GROUP],
        "resources": ["dynamographdeployments", "dynamographdeploymentscalingadapters"],
        "verbs": ["get", "list"],
    },
)
PLANNER_WRITES = (
    {"apiGroups": [NVIDIA_GROUP], "resources": ["dynamographdeployments"], "verbs": ["patch"]},
    {
        "apiGroups": [NVIDIA_GROUP],
        "resources": ["dynamographdeploymentscalingadapters/scale"],
        "verbs": ["get", "patch"],
    },
)

GLOBAL_PLANNER = "dynamo.global_planner"

Manifest = dict[str, Any]


def planner_account_name(graph: str) -> str:
    """Name of the ServiceAccount, Role and RoleBinding of a graph's own planner."""
    return f"{graph}-planner"


def service_account_name(graph: str) -> str:
    """Name of a graph's ServiceAccount, Role and RoleBinding."""
    return f"{graph}-k8s-service-discovery"


def discovery_rbac(graph: Graph, accounts: Iterable[str]) -> list[Manifest]:
    """Return ServiceAccount, Role and RoleBinding.

    ``accounts`` are all accounts that the graph's pods run as: one that the user chose needs the
    same rights, or its pods would end, with exit code 0, at registration.
    """
    return _account(graph, service_account_name(graph.name), DISCOVERY_RULES, accounts)


def planner_rbac(graph: Graph, accounts: Iterable[str]) -> list[Manifest]:
    """Return ServiceAccount, Role and RoleBinding of the graph's planner, which scales it.

    ``accounts`` are those that planner pods run as.
    """
    scales_others = any(_is_global(c) for c in graph.with_role(Role.PLANNER))
    writes = PLANNER_WRITES if scales_others else _writes_of_its_own(graph)
    return _account(graph, planner_account_name(graph.name), (*PLANNER_READS, *writes), accounts)


def _is_global(planner: Component) -> bool:
    return GLOBAL_PLANNER in " ".join((*planner.command, *planner.args))


def _writes_of_its_own(graph: Graph) -> tuple[Manifest, ...]:
    adapters = [component_name(graph.name, c.name) for c in graph.components]
    names = ([graph.name], adapters)
    return tuple(
        {**rule, "resourceNames": allowed}
        for rule, allowed in zip(PLANNER_WRITES, names, strict=True)
    )


def _account(
    graph: Graph, name: str, rules: Iterable[Manifest], accounts: Iterable[str]
) -> list[Manifest]:
    metadata = {"name": name, "namespace": graph.namespace, "labels": graph_labels(graph)}
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {
            "apiVersion": f"{RBAC_GROUP}/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [dict(rule) for rule in rules],
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
