"""Configuration files of the full tier, as pure functions of the cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from hack.cluster.model import CONTAINERD_SOCKET, NODE_NAME, PAUSE_IMAGE

if TYPE_CHECKING:
    from hack.cluster.model import Cluster

# Debian's containernetworking-plugins puts them here, not in /opt/cni/bin.
CNI_PLUGINS = "/usr/lib/cni"


def files(cluster: Cluster) -> dict[str, str]:
    """Render them all, by path relative to the run folder."""
    return {
        "containerd.toml": containerd_config(cluster),
        "cni/10-dgdr.conflist": json.dumps(cni_config(cluster), indent=1),
        "kubelet.json": json.dumps(kubelet_config(cluster), indent=1),
        "kube-proxy.json": json.dumps(kube_proxy_config(cluster), indent=1),
        "Corefile": corefile(cluster),
        "resolv.conf": "",  # no upstream: what is not in the cluster does not resolve
    }


def containerd_config(cluster: Cluster) -> str:
    return f"""version = 2
root = "{cluster.run}/containerd"
state = "/run/containerd"
oom_score = 0
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{cluster.run}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE_IMAGE}"
  # Where CAP_SYS_RESOURCE is missing, runc cannot set the score that kubelet asks for.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{CNI_PLUGINS}"
    conf_dir = "{cluster.run}/cni"
"""


def cni_config(cluster: Cluster) -> dict[str, object]:
    ipam = {
        "type": "host-local",
        "dataDir": "/run/cni-ipam",
        "ranges": [[{"subnet": cluster.pod_cidr}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,  # nothing leaves the node
        "hairpinMode": True,  # a pod reaches itself through its Service
        "ipam": ipam,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "dgdr", "plugins": [bridge, portmap]}


def kubelet_config(cluster: Cluster) -> dict[str, object]:
    never = "0%"
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cluster.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "clusterDNS": [cluster.dns_ip],
        "clusterDomain": "cluster.local",
        "resolvConf": f"{cluster.run}/resolv.conf",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{cluster.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "evictionHard": {
            "memory.available": never,
            "nodefs.available": never,
            "nodefs.inodesFree": never,
            "imagefs.available": never,
        },
        # Images are imported by hand and cannot be pulled again.
        "imageGCHighThresholdPercent": 100,
        # How soon a patched capacity becomes allocatable.
        "nodeStatusUpdateFrequency": "2s",
        "nodeStatusReportFrequency": "1m",
        "oomScoreAdj": 0,
        "volumePluginDir": f"{cluster.run}/kubelet/volume-plugins",
    }


def kube_proxy_config(cluster: Cluster) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": NODE_NAME,
        "clusterCIDR": cluster.pod_cidr,
        "clientConnection": {"kubeconfig": f"{cluster.pki}/proxy.kubeconfig"},
        # The host's conntrack table cannot be written from another network namespace.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
        "oomScoreAdj": 0,
    }


def corefile(cluster: Cluster) -> str:
    return f""".:53 {{
  bind {cluster.node_ip}
  errors
  health {cluster.node_ip}:8080
  ready {cluster.node_ip}:8181
  kubernetes cluster.local in-addr.arpa {{
    kubeconfig {cluster.pki}/coredns.kubeconfig {cluster.context}
    pods insecure
    ttl 5
  }}
}}
"""
