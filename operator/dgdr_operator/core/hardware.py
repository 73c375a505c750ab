"""Which GPUs to plan with: what the user says, completed by what the nodes report."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dgdr_api.effective import DISCOVERED_GPUS_CAP
from dgdr_api.models.dgdr_v1beta1 import GpuSku, Hardware
from dgdr_api.request import HardwareSource

HARDWARE_NEEDED = "GPU hardware configuration is required when GPU discovery is disabled"
CURE = "set spec.hardware.gpuSku, numGpusPerNode and totalGpus"

_FAMILIES: dict[str, GpuSku] = {
    "GB200": GpuSku.GB200,
    "GB10": GpuSku.GB10,
    "B300": GpuSku.B300_SXM,
    "B200": GpuSku.B200_SXM,
    "H200": GpuSku.H200_SXM,
    "H100": GpuSku.H100_SXM,
    "A100": GpuSku.A100_SXM,
    "A30": GpuSku.A30,
    "L40S": GpuSku.L40S,
    "L40": GpuSku.L40,
    "L4": GpuSku.L4,
    "V100": GpuSku.V100_SXM,
    "T4": GpuSku.T4,
    "MI200": GpuSku.MI200,
    "MI300": GpuSku.MI300,
    "MI300X": GpuSku.MI300,
}
_ON_A_CARD = {
    GpuSku.H100_SXM: GpuSku.H100_PCIE,
    GpuSku.A100_SXM: GpuSku.A100_PCIE,
    GpuSku.V100_SXM: GpuSku.V100_PCIE,
}


_SKUS = frozenset(GpuSku)
# What upstream's names end in, and labels seldom say.
_FORMS = frozenset({"SXM", "PCIE", "NVIDIA", "AMD", "INTEL"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """GPUs of one node.

    ``labelled`` and ``allocatable`` are the counts of GPU feature discovery and of the device
    plug-in; each is None where that part does not run.
    """

    name: str
    product: str | None = None
    labelled: int | None = None
    allocatable: int | None = None
    memory_mib: float | None = None

    @property
    def gpus(self) -> int:
        """GPUs that can be scheduled: time slicing offers more than there are, a fault fewer."""
        counts = [count for count in (self.labelled, self.allocatable) if count is not None]
        return min(counts, default=0)

    @property
    def sku(self) -> GpuSku | None:
        """The product in upstream's words, None when upstream has none."""
        return None if self.product is None else sku_of(self.product)


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareFound:
    """The GPUs to plan with; the product stays unknown on nodes without labels.

    ``gpu_product`` is the nodes' own label, to choose nodes by.
    """

    gpu_sku: str | None
    gpus_per_node: int
    total_gpus: int
    gpu_product: str | None = None
    vram_mib: float | None = None
    source: HardwareSource = HardwareSource.DISCOVERED


@dataclass(frozen=True, slots=True)
class HardwareUnknown:
    """Why the GPUs are not known, and what the user can do."""

    message: str


def sku_of(product: str) -> GpuSku | None:
    """Name a product as upstream does.

    GPU feature discovery calls an H100 SXM ``NVIDIA-H100-80GB-HBM3``, without the form factor, so
    a GPU counts as a card only where its name says PCIe or NVL.
    """
    words = _words(product)
    sku = next((sku for family, sku in _FAMILIES.items() if family in words), None)
    if sku is not None and {"PCIE", "NVL"} & words:
        return _ON_A_CARD.get(sku, sku)
    return sku


def decide_hardware(
    given: Hardware | None, nodes: Sequence[Node] | None
) -> HardwareFound | HardwareUnknown:
    """Complete what the user gave by what the nodes report; None: they cannot be read."""
    given = given or Hardware()
    if given.num_gpus_per_node and (nodes is None or _is_complete(given)):
        named = [n for n in nodes or () if given.gpu_sku and _counts(n, given.gpu_sku)]
        return _as_given(given, _product(named))
    if nodes is None:
        return HardwareUnknown(f"spec.hardware: Required value: {HARDWARE_NEEDED}; {CURE}")
    group = _largest_group(node for node in nodes if _counts(node, given.gpu_sku))
    if group:
        return _completed(given, group)
    if given.num_gpus_per_node:
        return _as_given(given)
    return HardwareUnknown(_nothing_found(given, nodes))


def _is_complete(given: Hardware) -> bool:
    return bool(given.gpu_sku and given.num_gpus_per_node and given.total_gpus)


def _as_given(given: Hardware, product: str | None = None) -> HardwareFound:
    per_node = given.num_gpus_per_node or 1
    return HardwareFound(
        gpu_sku=given.gpu_sku,
        gpus_per_node=per_node,
        total_gpus=given.total_gpus or per_node,
        gpu_product=product,
        vram_mib=given.vram_mb,
        source=HardwareSource.SPEC,
    )


def _counts(node: Node, wanted: str | None) -> bool:
    """Whether a node has GPUs of a product: of upstream's name for it, or of its label's words."""
    if node.gpus <= 0:
        return False
    if wanted is None:
        return True
    if wanted.lower() in _SKUS:
        # The deprecated name means the same product.
        known = GpuSku(wanted.lower())
        return node.sku is (GpuSku.GB200 if known is GpuSku.GB200_SXM else known)
    return _words(wanted) - _FORMS <= _words(node.product or "")


def _words(product: str) -> set[str]:
    return set(re.split(r"[-_.\s]+", product.upper()))


def _largest_group(nodes: Iterable[Node]) -> list[Node]:
    """Return the nodes of one product: of most nodes, then of most memory, then of most GPUs."""
    groups: dict[str, list[Node]] = defaultdict(list)
    for node in nodes:
        groups[str(node.sku or node.product or "")].append(node)
    ranked = sorted(groups.items(), key=lambda item: (_rank(item[1]), item[0]))
    return ranked[-1][1] if ranked else []


def _rank(group: list[Node]) -> tuple[int, float, int]:
    memory_mib = max(node.memory_mib or 0.0 for node in group)
    return len(group), memory_mib, sum(node.gpus for node in group)


def _completed(given: Hardware, group: list[Node]) -> HardwareFound:
    found = sum(node.gpus for node in group)
    memory = [node.memory_mib for node in group if node.memory_mib]
    return HardwareFound(
        gpu_sku=given.gpu_sku or group[0].sku,
        gpus_per_node=given.num_gpus_per_node or max(node.gpus for node in group),
        total_gpus=given.total_gpus or min(found, DISCOVERED_GPUS_CAP),
        gpu_product=_product(group),
        vram_mib=given.vram_mb or min(memory, default=None),
    )


def _product(nodes: Sequence[Node]) -> str | None:
    """Return the label that chooses these nodes; None when one label does not choose them all."""
    products = {node.product for node in nodes}
    return products.pop() if len(products) == 1 else None


def _nothing_found(given: Hardware, nodes: Sequence[Node]) -> str:
    others = sorted({str(node.product or "unlabelled GPUs") for node in nodes if node.gpus > 0})
    if given.gpu_sku and others:
        return (
            f"no node has GPUs of spec.hardware.gpuSku {given.gpu_sku}; the cluster has "
            f"{', '.join(others)}; change gpuSku, or {CURE}"
        )
    return f"no node reports GPUs (allocatable nvidia.com/gpu); {CURE}"
