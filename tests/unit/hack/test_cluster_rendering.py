"""Flags, files and manifests follow from the cluster's name, tier and number alone."""

import json
from pathlib import Path

import pytest

from hack.cluster import components, configs, node, objects, pki
from hack.cluster.errors import ClusterError
from hack.cluster.kwok import gpu_node
from hack.cluster.model import Cluster, Tier, checked_name

BIN = Path("/bin-dir")


def cluster(tier: Tier = Tier.FULL, number: int = 7) -> Cluster:
    return Cluster(name="x", tier=tier, number=number, home=Path("/home-dir"))


def flags(component: components.Component) -> dict[str, str]:
    pairs = (argument.split("=", 1) for argument in component.argv[1:] if "=" in argument)
    return {key: value for key, value in pairs}


def test_addresses_of_two_numbers_share_nothing() -> None:
    one, two = cluster(number=1), cluster(number=2)
    names = ("node_ip", "host_ip", "service_cidr", "pod_cidr", "link", "cgroup", "server", "dns_ip")
    assert all(getattr(one, name) != getattr(two, name) for name in names)


@pytest.mark.parametrize("tier", list(Tier))
def test_what_is_started_is_what_health_expects(tier: Tier) -> None:
    c = cluster(tier)
    started = (*components.first(c, BIN), *components.second(c, BIN))
    assert {component.program for component in started} == components.expected_programs(tier)


def test_kubelet_and_cgroups_agree() -> None:
    c = cluster()
    rendered = json.loads(configs.files(c)["kubelet.json"])
    assert rendered["cgroupRoot"] == f"/{c.cgroup}"
    assert rendered["clusterDNS"] == [c.dns_ip]


def test_pods_and_proxy_agree_on_the_pods_range() -> None:
    files = configs.files(cluster())
    assert '"subnet": "10.202.7.0/24"' in files["cni/10-dgdr.conflist"]
    assert json.loads(files["kube-proxy.json"])["clusterCIDR"] == "10.202.7.0/24"


def test_coredns_reads_its_context_from_our_kubeconfig() -> None:
    corefile = configs.corefile(cluster())
    assert "kubeconfig /home-dir/run/pki/coredns.kubeconfig dgdr-x" in corefile
    assert "bind 10.200.7.2" in corefile


def test_kwok_never_manages_the_real_node() -> None:
    assert flags(components.kwok(cluster(), BIN))["--manage-all-nodes"] == "false"


def test_the_node_registers_with_its_gpu_labels() -> None:
    labels = flags(components.kubelet(cluster(), BIN))["--node-labels"]
    assert labels == (
        "nvidia.com/gpu.product=NVIDIA-H200,nvidia.com/gpu.count=16,nvidia.com/gpu.memory=143771"
    )


def test_the_servers_certificate_names_every_way_to_reach_it() -> None:
    server = next(leaf for leaf in pki.leaves(cluster()) if leaf.file == "apiserver")
    assert "IP:10.200.7.2" in server.alternative_names
    assert "IP:10.201.7.1" in server.alternative_names
    assert "DNS:kubernetes.default.svc" in server.alternative_names


def test_the_light_tier_mounts_nothing_and_has_no_node_certificate() -> None:
    light = cluster(Tier.LIGHT)
    assert "mount" not in node.setup_script(light)
    assert not {leaf.file for leaf in pki.leaves(light)} & {"node", "proxy", "coredns"}


def test_the_light_tier_has_addresses_for_thousands_and_keeps_nodes_without_leases() -> None:
    light = cluster(Tier.LIGHT)
    assert flags(components.apiserver(light, BIN))["--service-cluster-ip-range"] == "10.201.0.0/16"
    manager = flags(components.controller_manager(light, BIN))
    assert manager["--node-monitor-grace-period"] == "24h"
    whole = flags(components.controller_manager(cluster(), BIN))
    assert "--node-monitor-grace-period" not in whole


def test_dns_has_the_node_as_its_endpoint() -> None:
    manifests = objects.dns(cluster())
    service = manifests["/api/v1/namespaces/kube-system/services/kube-dns"]
    slices = [m for m in manifests.values() if m["kind"] == "EndpointSlice"]
    assert service["spec"]["clusterIP"] == "10.201.7.10"
    assert slices[0]["endpoints"][0]["addresses"] == ["10.200.7.2"]


def test_a_fake_node_offers_what_its_labels_say() -> None:
    made = gpu_node("gpu-1", gpus_per_node=4)
    assert made["status"]["allocatable"]["nvidia.com/gpu"] == "4"
    assert made["metadata"]["labels"]["nvidia.com/gpu.count"] == "4"


@pytest.mark.parametrize("name", ["", "Dev", "a_b", "-a", "a-", "a" * 41, "../x"])
def test_a_name_that_cannot_be_a_folder_and_a_context_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="--name"):
        checked_name(name)
