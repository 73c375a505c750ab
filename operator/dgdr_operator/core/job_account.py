"""As whom a profiling Job runs, and what it may do: an account of its own for each request.

What has a name that is known beforehand is granted by name, in a Role of the run. The rest is a
ClusterRole of the chart: a candidate's name is not known before it is made, and RBAC cannot choose
by label. The chart's admission policy holds the Job to objects of its own request there.
"""

from collections.abc import Mapping
from typing import Any

from dgdr_api import names
from dgdr_api.names import Label
from dgdr_api.request import ProfilingRequest

Manifest = dict[str, Any]

RBAC_GROUP = "rbac.authorization.k8s.io"


def render_account(request: ProfilingRequest, cluster_role: str) -> tuple[Manifest, ...]:
    """Render the Job's ServiceAccount, its Role, and the bindings of both roles."""
    name = names.profiling_account(request.dgdr_name)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(request, name)}
    role = {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "Role",
        "metadata": _meta(request, name),
        "rules": _rules(request),
    }
    return (
        account,
        role,
        _binding(request, name, "Role", name),
        _binding(request, f"{name}-binding", "ClusterRole", cluster_role),
    )


def render_network_policy(request: ProfilingRequest, ports: tuple[int, ...]) -> Manifest:
    """Render where the Job may connect to: candidates, name servers, and these ports anywhere."""
    everywhere = [("UDP", 53), *(("TCP", port) for port in (53, *ports))]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _meta(request, names.profiling_account(request.dgdr_name)),
        "spec": {
            "podSelector": {"matchLabels": {Label.JOB_DGDR.value: request.dgdr_name}},
            # Nobody has a reason to call it.
            "policyTypes": ["Ingress", "Egress"],
            "egress": [
                {"ports": [{"protocol": kind, "port": port} for kind, port in everywhere]},
                {
                    "to": [
                        {
                            "podSelector": {
                                "matchExpressions": [
                                    {"key": Label.GRAPH.value, "operator": "Exists"}
                                ]
                            }
                        }
                    ]
                },
            ],
        },
    }


def _rules(request: ProfilingRequest) -> list[Manifest]:
    """Grant the run's own records, and to read what it needs of others, each by its name."""
    readable = [name for dgdr in request.reusable for name in names.points_of(dgdr)]
    if request.policy.uses_mocker:
        readable.append(request.policy.mocker_data)
    own = _config_maps(names.records_of(request.dgdr_name), "get", "patch")
    # A rule without names would grant every object.
    return [own, _config_maps(readable, "get")] if readable else [own]


def _config_maps(object_names: list[str], *verbs: str) -> Manifest:
    return {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": object_names,
        "verbs": list(verbs),
    }


def _binding(request: ProfilingRequest, name: str, kind: str, role: str) -> Manifest:
    account = names.profiling_account(request.dgdr_name)
    return {
        "apiVersion": f"{RBAC_GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": _meta(request, name),
        "roleRef": {"apiGroup": RBAC_GROUP, "kind": kind, "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": request.namespace}],
    }


def _meta(request: ProfilingRequest, name: str) -> Manifest:
    labels: Mapping[str, str] = {
        "app.kubernetes.io/managed-by": names.MANAGED_BY_VALUE,
        "app.kubernetes.io/component": "rbac",
        "app.kubernetes.io/name": names.PROFILING_SERVICE_ACCOUNT,
        Label.MANAGED_BY.value: names.MANAGED_BY_VALUE,
    }
    return {
        "name": name,
        "namespace": request.namespace,
        "labels": dict(labels),
        "ownerReferences": [{**request.owner_reference.to_json(), "controller": False}],
    }
