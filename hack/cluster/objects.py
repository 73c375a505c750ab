"""The objects that a cluster needs before its first user: DNS, as manifests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hack.cluster.model import Cluster

_RBAC = "/apis/rbac.authorization.k8s.io/v1"
_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))


def dns(cluster: Cluster) -> dict[str, dict[str, Any]]:
    """By path: CoreDNS's rights, and a Service whose one endpoint is a process of the node."""
    return {
        f"{_RBAC}/clusterroles/system:coredns": _role(),
        f"{_RBAC}/clusterrolebindings/system:coredns": _binding(),
        "/api/v1/namespaces/kube-system/services/kube-dns": _service(cluster),
        "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns": _slice(cluster),
    }


def _role() -> dict[str, Any]:
    verbs = ["list", "watch"]
    core = ["endpoints", "services", "pods", "namespaces"]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": core, "verbs": verbs},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": verbs},
        ],
    }


def _binding() -> dict[str, Any]:
    group = "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "system:coredns"}],
    }


def _service(cluster: Cluster) -> dict[str, Any]:
    ports = [{"name": name, "port": 53, "protocol": protocol} for name, protocol in _PORTS]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system"},
        "spec": {"clusterIP": cluster.dns_ip, "ports": ports},
    }


def _slice(cluster: Cluster) -> dict[str, Any]:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns",
            "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": "kube-dns"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [cluster.node_ip], "conditions": {"ready": True}}],
        "ports": [{"name": name, "port": 53, "protocol": protocol} for name, protocol in _PORTS],
    }
