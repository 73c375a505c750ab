"""Command lines of every part, as pure functions of the cluster.

Each flag that is not self-evident carries the reason for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.cluster import gpus
from hack.cluster.model import API_PORT, NODE_NAME, Tier

if TYPE_CHECKING:
    from pathlib import Path

    from hack.cluster.model import Cluster

FAKE_NODE_ANNOTATION = "kwok.x-k8s.io/node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A process of the node. ``program`` is what /proc/PID/exe ends with."""

    program: str
    argv: tuple[str, ...]


def first(cluster: Cluster, binaries: Path) -> tuple[Component, ...]:
    """What starts at once: the API server retries until etcd answers."""
    started = (etcd(cluster, binaries), apiserver(cluster, binaries))
    if cluster.tier is Tier.FULL:
        return (*started, containerd(cluster))
    return started


def second(cluster: Cluster, binaries: Path) -> tuple[Component, ...]:
    """What starts when the API server is ready."""
    started = (controller_manager(cluster, binaries), scheduler(cluster, binaries))
    if cluster.tier is Tier.FULL:
        node = (kubelet(cluster, binaries), kube_proxy(cluster, binaries))
        return (*started, *node, coredns(cluster, binaries))
    return (*started, kwok(cluster, binaries))


def expected_programs(tier: Tier) -> frozenset[str]:
    """The parts without which a cluster of this tier is not healthy."""
    control_plane = {"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    node = {"containerd", "kubelet", "kube-proxy", "coredns"}
    return frozenset(control_plane | (node if tier is Tier.FULL else {"kwok"}))


def etcd(cluster: Cluster, binaries: Path) -> Component:
    """Plain HTTP: only processes of the node's network namespace reach its loopback."""
    client, peer = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
    return _component(
        binaries / "etcd",
        f"--data-dir={cluster.run}/etcd",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # the data does not outlive the boot
        "--log-level=warn",
    )


def apiserver(cluster: Cluster, binaries: Path) -> Component:
    pki = cluster.pki
    return _component(
        binaries / "kube-apiserver",
        "--etcd-servers=http://127.0.0.1:2379",
        f"--advertise-address={cluster.node_ip}",
        "--bind-address=0.0.0.0",
        f"--secure-port={API_PORT}",
        f"--service-cluster-ip-range={cluster.service_range}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--client-ca-file={pki}/ca.crt",
        f"--tls-cert-file={pki}/apiserver.crt",
        f"--tls-private-key-file={pki}/apiserver.key",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key",
        # Without these two, logs, exec, cp and port-forward are refused by kubelet.
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key",
        # The node's name resolves nowhere on the host.
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki}/front-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-client.crt",
        f"--proxy-client-key-file={pki}/front-client.key",
    )


def controller_manager(cluster: Cluster, binaries: Path) -> Component:
    pki = cluster.pki
    return _component(
        binaries / "kube-controller-manager",
        *_kubeconfigs(cluster, "controller-manager"),
        # Without it the user lacks its controllers' rights, and taints stay for ever.
        "--use-service-account-credentials=true",
        f"--root-ca-file={pki}/ca.crt",
        f"--service-account-private-key-file={pki}/sa.key",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        f"--requestheader-client-ca-file={pki}/front-ca.crt",
        "--leader-elect=false",
        # The bridge has one fixed subnet, and fake nodes would eat the range.
        "--allocate-node-cidrs=false",
        # The default of 20 requests a second costs 4 s at boot: a token for each controller.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        # Fake nodes renew no lease: without this they are lost after some minutes.
        *(["--node-monitor-grace-period=24h"] if cluster.tier is Tier.LIGHT else []),
    )


def scheduler(cluster: Cluster, binaries: Path) -> Component:
    kubeconfigs = _kubeconfigs(cluster, "scheduler")
    return _component(binaries / "kube-scheduler", *kubeconfigs, "--leader-elect=false")


def kwok(cluster: Cluster, binaries: Path) -> Component:
    return _component(
        binaries / "kwok",
        f"--kubeconfig={cluster.pki}/kwok.kubeconfig",
        # A node that something else keeps alive is not its own.
        "--manage-all-nodes=false",
        f"--manage-nodes-with-annotation-selector={FAKE_NODE_ANNOTATION}=fake",
        f"--node-ip={cluster.node_ip}",
        "--node-port=0",
        f"--server-address={cluster.node_ip}:10247",
    )


def containerd(cluster: Cluster) -> Component:
    return Component(
        program="containerd", argv=("containerd", "--config", f"{cluster.run}/containerd.toml")
    )


def kubelet(cluster: Cluster, binaries: Path) -> Component:
    offered = ",".join(f"{key}={value}" for key, value in gpus.labels().items())
    return _component(
        binaries / "kubelet",
        f"--config={cluster.run}/kubelet.json",
        f"--kubeconfig={cluster.pki}/node.kubeconfig",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={cluster.node_ip}",
        f"--node-labels={offered}",
        "--root-dir=/var/lib/kubelet",
        f"--cert-dir={cluster.run}/kubelet/pki",
    )


def kube_proxy(cluster: Cluster, binaries: Path) -> Component:
    return _component(binaries / "kube-proxy", f"--config={cluster.run}/kube-proxy.json")


def coredns(cluster: Cluster, binaries: Path) -> Component:
    """A process of the node, not a pod: DNS answers before the first image is there."""
    return _component(binaries / "coredns", "-conf", f"{cluster.run}/Corefile")


def _component(binary: Path, *arguments: str) -> Component:
    return Component(program=binary.name, argv=(str(binary), *arguments))


def _kubeconfigs(cluster: Cluster, user: str) -> tuple[str, ...]:
    path = f"{cluster.pki}/{user}.kubeconfig"
    flags = ("--kubeconfig", "--authentication-kubeconfig", "--authorization-kubeconfig")
    return tuple(f"{flag}={path}" for flag in flags)
