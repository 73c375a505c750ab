"""GPUs of a pod, wherever they are asked for."""

from typing import Any

import pytest

from dgdr_api.codec_v1beta1 import decode
from dgdr_api.gpus import (
    Uncountable,
    claim_sources,
    claimed_gpus,
    graph_gpus,
    held_gpus,
    is_gpu,
    least,
    plugged_gpus,
    pod_gpus,
    replica_gpus,
)
from dgdr_api.graph import Component


def component(pod: Any = None, limits: Any = None, **fields: Any) -> Component:
    main = {"name": "main", "image": "i", "resources": {"limits": limits or {}}}
    spec = {"containers": [main], **(pod or {})}
    entry = {"name": "decode", "type": "decode", "podTemplate": {"spec": spec}, **fields}
    return decode(dgd(entry)).components[0]


def dgd(*components: Any) -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g", "namespace": "ns"},
        "spec": {"components": list(components)},
    }


def init(gpus: int, **fields: Any) -> dict[str, Any]:
    return {"name": f"i{gpus}", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}, **fields}


SIDECAR = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("pod", "limits", "gpus"),
    [
        pytest.param({}, {}, 0, id="none"),
        pytest.param({}, {"nvidia.com/gpu": 2}, 2, id="main"),
        pytest.param({}, {"amd.com/gpu": "4"}, 4, id="another maker"),
        pytest.param({}, {"nvidia.com/mig-1g.10gb": 2, "rdma/ib": 8}, 2, id="slices, no network"),
        pytest.param({"initContainers": [init(4, **SIDECAR)]}, {}, 4, id="native sidecar"),
        pytest.param(
            {"initContainers": [init(4, **SIDECAR)]},
            {"nvidia.com/gpu": 1},
            5,
            id="sidecar and main",
        ),
        pytest.param({"initContainers": [init(4)]}, {"nvidia.com/gpu": 1}, 4, id="before it"),
        pytest.param(
            {"initContainers": [init(2, **SIDECAR), init(4)]}, {"nvidia.com/gpu": 1}, 6, id="both"
        ),
    ],
)
def test_a_pod_holds_what_the_scheduler_reserves(pod: Any, limits: Any, gpus: int) -> None:
    assert pod_gpus(component(pod, limits)) == gpus


def test_an_amount_that_no_node_has_is_no_amount() -> None:
    assert pod_gpus(component(limits={"amd.com/gpu": "9" * 5000, "nvidia.com/gpu": "1"})) == 1


def test_a_container_beside_counts_too() -> None:
    beside = [{"name": "main", "image": "i"}, init(3)]
    found = component({"containers": beside})
    assert (pod_gpus(found), plugged_gpus(found)) == (3, 3)


def test_a_replica_of_nodes_and_a_graph_of_replicas() -> None:
    one = component(limits={"nvidia.com/gpu": 8}, multinode={"nodeCount": 2}, replicas=3)
    assert replica_gpus(one) == 16
    entry = {"name": "d", "type": "decode", "podTemplate": {"spec": {"initContainers": [init(2)]}}}
    assert graph_gpus(decode(dgd(entry, {**entry, "name": "e", "replicas": 4}))) == 10


TEMPLATE = {"name": "gpu", "resourceClaimTemplateName": "two"}


def test_a_claim_counts_when_somebody_looked_it_up() -> None:
    asking = component({"resourceClaims": [TEMPLATE]}, {"nvidia.com/gpu": 1})
    assert claim_sources(asking) == ("template/two",)
    assert pod_gpus(asking, {"template/two": 2}) == 3
    unknown = pod_gpus(asking)
    assert isinstance(unknown, Uncountable)
    assert "resourceClaims[gpu] of template two" in unknown.why
    assert isinstance(replica_gpus(asking), Uncountable)


def test_what_is_known_beside_a_claim_is_the_least() -> None:
    other = {"name": "nic", "resourceClaimTemplateName": "unknown"}
    pod = {"resourceClaims": [other, TEMPLATE]}
    asking = component(pod, {"nvidia.com/gpu": 8}, multinode={"nodeCount": 2})
    assert least(pod_gpus(asking)) == 8
    assert least(pod_gpus(asking, {"template/two": 2})) == 10
    assert least(replica_gpus(asking)) == 16
    template = {"spec": {"containers": [init(8)], **pod}}
    entries = [
        {"name": name, "type": "decode", "replicas": 3, "podTemplate": template} for name in "de"
    ]
    counted = graph_gpus(decode(dgd(*entries)))
    assert isinstance(counted, Uncountable)
    assert counted.why.startswith("component d: resourceClaims[nic] of template unknown")
    assert least(counted) == 48


@pytest.mark.parametrize(
    ("request_", "gpus"),
    [
        pytest.param({"exactly": {"deviceClassName": "gpu.nvidia.com", "count": 4}}, 4, id="v1"),
        pytest.param({"exactly": {"deviceClassName": "gpu.nvidia.com"}}, 1, id="one"),
        pytest.param({"deviceClassName": "mig.nvidia.com", "count": 2}, 2, id="v1beta1"),
        pytest.param({"exactly": {"deviceClassName": "rdma.example.com"}}, 0, id="no GPU"),
        pytest.param(
            {"exactly": {"deviceClassName": "gpu.nvidia.com", "allocationMode": "All"}},
            None,
            id="all of a node",
        ),
        pytest.param(
            {
                "firstAvailable": [
                    {"deviceClassName": "gpu.nvidia.com", "count": 1},
                    {"deviceClassName": "gpu.nvidia.com", "count": 2},
                ]
            },
            2,
            id="the largest choice",
        ),
        pytest.param("x", None, id="nonsense"),
    ],
)
def test_a_claim_says_how_many_it_hands_out(request_: Any, gpus: int | None) -> None:
    assert claimed_gpus({"devices": {"requests": [request_]}}) == gpus


@pytest.mark.parametrize(
    ("name", "gpus"),
    [
        ("gpu.nvidia.com", 1),
        ("vfio.gpu.nvidia.com", 1),
        ("mig.nvidia.com", 1),
        ("gpu.example.net", 1),
        ("compute-domain-default-channel.nvidia.com", 0),
        ("compute-domain-daemon.nvidia.com", 0),
        ("mrdma.google.com", 0),
        ("netdev.google.com", 0),
        ("efa.networking.k8s.aws", 0),
        ("sriovnetwork.k8snetworkplumbingwg.io", 0),
        ("dra.cpu", 0),
        ("dranet", 0),
        ("h100.example.com", None),
        ("example.network.com", None),
        ("", None),
    ],
)
def test_a_device_class_says_by_its_name_whether_it_is_of_gpus(name: str, gpus: int | None) -> None:
    request_ = {"exactly": {"deviceClassName": name}}
    assert claimed_gpus({"devices": {"requests": [request_]}}) == gpus


def test_all_channels_of_a_domain_are_no_gpus() -> None:
    name = "compute-domain-default-channel.nvidia.com"
    request_ = {"exactly": {"deviceClassName": name, "allocationMode": "All"}}
    assert claimed_gpus({"devices": {"requests": [request_]}}) == 0


def test_a_claim_without_requests_says_nothing() -> None:
    assert claimed_gpus({}) is None


def test_a_pod_holds_its_gpus_until_it_has_ended() -> None:
    spec = {"containers": [init(1)], "initContainers": [init(2, **SIDECAR)]}
    assert held_gpus({"spec": spec}) == 3
    assert held_gpus({"spec": spec, "status": {"phase": "Failed"}}) == 0


@pytest.mark.parametrize(
    "resource",
    [
        "nvidia.com/gpu",
        "nvidia.com/gpu.shared",
        "nvidia.com/mig-1g.10gb",
        "nvidia.com/mig-1g.10gb.shared",
        "amd.com/gpu",
        "amd.com/cpx_nps4",
        "gpu.intel.com/i915",
        "gpu.intel.com/xe",
        "habana.ai/gaudi",
        "aws.amazon.com/neuron",
        "aws.amazon.com/neuroncore",
        "google.com/tpu",
        "huawei.com/Ascend910",
        "volcano.sh/vgpu-number",
        "a.com/gpu",
    ],
)
def test_what_is_a_gpu(resource: str) -> None:
    assert is_gpu(resource)


@pytest.mark.parametrize(
    "resource",
    [
        "cpu",
        "memory",
        "rdma/ib",
        "ephemeral-storage",
        "hugepages-2Mi",
        "a.com/gpumemory",
        "koordinator.sh/gpu",
        "koordinator.sh/gpu-core",
        "koordinator.sh/gpu-memory-ratio",
        "volcano.sh/gpu-memory",
        "volcano.sh/vgpu-cores",
        "aliyun.com/gpu-mem",
        "nvidia.com/gpumem",
        "nvidia.com/gpucores",
        "nvidia.com/gpumem-percentage",
        "huawei.com/Ascend910B-memory",
        "gpu.intel.com/millicores",
        "gpu.intel.com/memory.max",
        "gpu.intel.com/tiles",
        "gpu.intel.com/i915_monitoring",
    ],
)
def test_what_is_a_share_of_a_gpu_or_none(resource: str) -> None:
    assert not is_gpu(resource)


def test_shares_of_devices_that_are_asked_for_are_no_devices() -> None:
    limits = {
        "nvidia.com/gpu": 8,
        "koordinator.sh/gpu-core": 800,
        "koordinator.sh/gpu-memory-ratio": 800,
    }
    assert pod_gpus(component(limits=limits)) == 8
