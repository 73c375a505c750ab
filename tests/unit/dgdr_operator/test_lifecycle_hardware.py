from typing import Any

import pytest

from dgdr_api.models.dgdr_v1beta1 import GpuSku, Hardware
from dgdr_operator.core.hardware import (
    HardwareFound,
    HardwareUnknown,
    Node,
    decide_hardware,
    sku_of,
)


@pytest.mark.parametrize(
    ("product", "sku"),
    [
        pytest.param("NVIDIA-H100-80GB-HBM3", GpuSku.H100_SXM, id="SXM without saying so"),
        pytest.param("NVIDIA-H100-PCIe", GpuSku.H100_PCIE, id="card"),
        pytest.param("NVIDIA-H100-NVL", GpuSku.H100_PCIE, id="bridged cards"),
        pytest.param("NVIDIA-H200", GpuSku.H200_SXM, id="H200"),
        pytest.param("NVIDIA-A100-SXM4-80GB", GpuSku.A100_SXM, id="A100 SXM"),
        pytest.param("NVIDIA-A100-PCIE-40GB", GpuSku.A100_PCIE, id="A100 card"),
        pytest.param("NVIDIA-L40S", GpuSku.L40S, id="L40S is not L40"),
        pytest.param("NVIDIA-L4", GpuSku.L4, id="L4"),
        pytest.param("Tesla-T4", GpuSku.T4, id="T4"),
        pytest.param("Tesla-V100-PCIE-16GB", GpuSku.V100_PCIE, id="V100 card"),
        pytest.param("NVIDIA-GB200", GpuSku.GB200, id="GB200 is not B200"),
        pytest.param("NVIDIA-GeForce-RTX-4090", None, id="unknown to upstream"),
    ],
)
def test_products_get_upstreams_names(product: str, sku: GpuSku | None) -> None:
    assert sku_of(product) is sku


def node(product: str | None = "NVIDIA-H200", gpus: int = 8, **more: Any) -> Node:
    return Node(name="n", product=product, allocatable=gpus, **more)


@pytest.mark.parametrize(
    ("nodes", "found"),
    [
        pytest.param([node()], ("h200_sxm", 8, 8), id="one node"),
        pytest.param([node()] * 3, ("h200_sxm", 8, 24), id="several"),
        pytest.param([node()] * 9, ("h200_sxm", 8, 32), id="capped like upstream"),
        pytest.param([node(), node("NVIDIA-L4", 1)], ("h200_sxm", 8, 8), id="never two products"),
        pytest.param(
            [node("NVIDIA-L4", 1), node("NVIDIA-L4", 1), node()],
            ("l4", 1, 2),
            id="the product of most nodes",
        ),
        pytest.param([node(), node(gpus=4)], ("h200_sxm", 8, 12), id="unequal nodes are added up"),
        pytest.param([node(None)], (None, 8, 8), id="no labels, only the device plug-in"),
        pytest.param([node(labelled=4)], ("h200_sxm", 4, 4), id="time slices are no GPUs"),
        pytest.param(
            [Node(name="n", product="NVIDIA-H200", labelled=8)],
            ("h200_sxm", 8, 8),
            id="labels alone",
        ),
    ],
)
def test_discovery(nodes: list[Node], found: tuple[str | None, int, int]) -> None:
    hardware = decide_hardware(None, nodes)
    assert isinstance(hardware, HardwareFound)
    assert (hardware.gpu_sku, hardware.gpus_per_node, hardware.total_gpus) == found
    assert hardware.source == "discovered"


def test_what_the_user_gives_wins_and_is_not_capped() -> None:
    given = Hardware(gpu_sku=GpuSku.H100_SXM, num_gpus_per_node=8, total_gpus=64)
    hardware = decide_hardware(given, [node()])
    assert hardware == HardwareFound(
        gpu_sku="h100_sxm",
        gpus_per_node=8,
        total_gpus=64,
        source="spec",  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("given", "nodes", "product"),
    [
        pytest.param(None, [node(), node()], "NVIDIA-H200", id="one product"),
        pytest.param(None, [node(), node("NVIDIA-L4", 1)], "NVIDIA-H200", id="two products"),
        pytest.param(
            None,
            [node("NVIDIA-H100-80GB-HBM3"), node("NVIDIA-H100-96GB-HBM3")],
            None,
            id="no label chooses both",
        ),
        pytest.param(None, [node(None)], None, id="no labels"),
        pytest.param(
            Hardware(gpu_sku=GpuSku.L4, num_gpus_per_node=1, total_gpus=4),
            [node(), node("NVIDIA-L4", 1)],
            "NVIDIA-L4",
            id="of what the user named",
        ),
        pytest.param(
            Hardware(gpu_sku=GpuSku.L4, num_gpus_per_node=1, total_gpus=4),
            [node()],
            None,
            id="no such node now",
        ),
    ],
)
def test_the_label_that_chooses_the_nodes_is_found(
    given: Hardware | None, nodes: list[Node], product: str | None
) -> None:
    hardware = decide_hardware(given, nodes)
    assert isinstance(hardware, HardwareFound)
    assert hardware.gpu_product == product


def test_only_nodes_of_the_wanted_product_count() -> None:
    hardware = decide_hardware(Hardware(gpu_sku=GpuSku.L4), [node(), node("NVIDIA-L4", 2)])
    assert isinstance(hardware, HardwareFound)
    assert (hardware.gpu_sku, hardware.total_gpus) == ("l4", 2)


def test_a_budget_completes_what_was_found() -> None:
    hardware = decide_hardware(Hardware(total_gpus=4), [node()])
    assert isinstance(hardware, HardwareFound)
    assert (hardware.gpus_per_node, hardware.total_gpus) == (8, 4)


@pytest.mark.parametrize(
    ("given", "nodes", "text"),
    [
        pytest.param(None, [], "no node reports GPUs", id="no nodes"),
        pytest.param(None, [node(gpus=0)], "no node reports GPUs", id="broken plug-in"),
        pytest.param(None, None, "required when GPU discovery is disabled", id="no right"),
        pytest.param(
            Hardware(gpu_sku=GpuSku.H100_SXM),
            [node()],
            "no node has GPUs of spec.hardware.gpuSku h100_sxm; the cluster has NVIDIA-H200",
            id="another product",
        ),
    ],
)
def test_unknown_hardware_says_what_to_set(
    given: Hardware | None, nodes: list[Node] | None, text: str
) -> None:
    hardware = decide_hardware(given, nodes)
    assert isinstance(hardware, HardwareUnknown)
    assert text in hardware.message
    assert "set spec.hardware.gpuSku, numGpusPerNode and totalGpus" in hardware.message


@pytest.mark.parametrize(
    ("sku", "product", "counts"),
    [
        ("gb300", "NVIDIA-GB300", True),
        ("GB300_SXM", "NVIDIA-GB300", True),
        ("h20", "NVIDIA-H20", True),
        ("h20", "NVIDIA-H200", False),
        ("a10g", "NVIDIA-A10G", True),
        ("rtx-pro-6000", "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", True),
        ("h20", None, False),
        ("H100_SXM", "NVIDIA-H100-80GB-HBM3", True),
    ],
)
def test_a_product_without_a_name_of_upstreams_can_be_named(
    sku: str, product: str | None, counts: bool
) -> None:
    found = decide_hardware(Hardware(gpu_sku=sku), [Node(name="n", product=product, labelled=8)])
    assert isinstance(found, HardwareFound) is counts
    if isinstance(found, HardwareFound):
        assert (found.gpu_sku, found.total_gpus) == (sku, 8)
