"""The GPUs of a pod, wherever its spec asks for them: one count for operator and planner.

A pod asks in its main container, in containers beside it, in init containers that go on running
(native sidecars) or come before, and in resource claims. Claims name a template, which says how
many devices it hands out; who has not read it cannot count them.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from dgdr_api.graph import Component, Graph, Json
from dgdr_api.pods import GPU, MAIN, whole_number
from dgdr_api.reading import objects_of

Claims = Mapping[str, int]
"""GPUs that one pod gets by a claim, by what ``claim_sources`` calls it."""
NO_CLAIMS: Claims = MappingProxyType({})

# Whole devices that run models, and slices of one, each of which counts as one; by their makers'
# device plug-ins. Not here: shares and memory of a device that schedulers hand out beside it, or
# instead (gpu-core, gpu-memory-ratio, gpu-mem, gpumem, millicores, tiles), and gpu.intel.com's
# monitoring of all devices. Of a scheduler only what counts devices.
# https://github.com/NVIDIA/k8s-device-plugin (gpu, gpu.shared by renameByDefault, mig-PROFILE)
# https://github.com/ROCm/k8s-device-plugin (gpu, COMPUTE_MEMORY partitions)
# https://github.com/intel/intel-device-plugins-for-kubernetes (i915, xe)
# https://awsdocs-neuron.readthedocs-hosted.com (neuron, neurondevice, neuroncore)
# https://github.com/volcano-sh/devices (vgpu-number, gpu-number)
# https://koordinator.sh/docs (gpu: percent)
_DEVICES = (
    r"nvidia\.com/(gpu|mig-[^/]+?)(\.shared)?",
    r"amd\.com/([sdqc]px_nps[0-9]+)",
    r"gpu\.intel\.com/(i915|xe)",
    r"habana\.ai/gaudi[0-9]*",
    r"aws\.amazon\.com/neuron(device|core)?",
    r"huawei\.com/Ascend[0-9]+[A-Z]?[0-9]*",
    r"volcano\.sh/v?gpu-number",
    r"(?!koordinator\.sh/)[^/]+/([gxnt]pu)",
)
_DEVICE = re.compile("|".join(_DEVICES))
_DEVICE_CLASS = re.compile(r"(^|[.\-/])(gpu|mig|xpu|npu|tpu|gaudi|neuron)", re.IGNORECASE)
# Of a device class the part before its domain. The channels and daemons of a ComputeDomain are
# compute-domain-default-channel.nvidia.com and compute-domain-daemon.nvidia.com
# (https://github.com/kubernetes-sigs/dra-driver-nvidia-gpu); the others are networks, processors
# and memory, as DRA drivers and their documents call them.
_COMPUTE_DOMAIN = re.compile(r"compute-domain-.+\.nvidia\.com")
_NO_DEVICE_CLASS = re.compile(
    r"(.+-)?(m?rdma|roce|infiniband|nics?|netdev|dranet|network|sriov.*|efa|qat|imex|cpus?|memory"
    r"|hugepages)(-.+)?(\..+)?|dra\.(cpu|memory|net)",
    re.IGNORECASE,
)
_TEMPLATE, _CLAIM = "resourceClaimTemplateName", "resourceClaimName"


@dataclass(frozen=True, slots=True)
class Uncountable:
    """Nobody knows how many GPUs a pod gets; ``why`` says by what, and what to do.

    ``known`` are those that it gets in any case.
    """

    why: str
    known: int = 0


Count = int | Uncountable


def is_gpu(resource: str) -> bool:
    """Whether an extended resource is a GPU, or a slice of one."""
    return _DEVICE.fullmatch(resource) is not None


def pod_gpus(component: Component, claims: Claims = NO_CLAIMS) -> Count:
    """Return the GPUs of one pod of a component.

    ``claims`` are those that somebody has looked up; one that is missing makes it uncountable.
    """
    asked = _asked(component.container.get("resources"), _is_other) + component.gpus
    counted = _of_containers(component.pod, asked)
    claimed = _claimed(component.pod, claims)
    if isinstance(claimed, Uncountable):
        return replace(claimed, known=claimed.known + counted)
    return counted + claimed


def plugged_gpus(component: Component) -> int:
    """Return the GPUs of a pod that are ``nvidia.com/gpu``, which nodes report as allocatable."""
    return _of_containers(component.pod, component.gpus, is_counted=GPU.__eq__)


def replica_gpus(component: Component, claims: Claims = NO_CLAIMS) -> Count:
    """Return the GPUs of one replica, which may be pods of several nodes."""
    found = pod_gpus(component, claims)
    if isinstance(found, Uncountable):
        return replace(found, known=found.known * component.nodes)
    return found * component.nodes


def graph_gpus(graph: Graph, claims: Claims = NO_CLAIMS) -> Count:
    """Return the GPUs of all replicas; a component without replicas counts once."""
    total, unknown = 0, list[str]()
    for component in graph.components:
        found = replica_gpus(component, claims)
        if isinstance(found, Uncountable):
            unknown.append(f"component {component.name}: {found.why}")
        total += least(found) * (1 if component.replicas is None else component.replicas)
    return Uncountable(unknown[0], total) if unknown else total


def least(count: Count) -> int:
    """Return what is known: where nothing is decided by the rest, such as in a report."""
    return count.known if isinstance(count, Uncountable) else count


def held_gpus(pod: Json) -> int:
    """Return the GPUs that a pod holds: until it is gone, or its containers have ended.

    Those of claims are not among them: the pod does not say how many they are.
    """
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return 0
    own = objects_of(pod["spec"].get("containers"))
    main = next((c for c in own if c.get("name") == MAIN), {})
    return _of_containers(pod["spec"], _asked(main.get("resources")))


def claim_sources(component: Component) -> tuple[str, ...]:
    """Return what a component's claims are made from: ``template/NAME`` or ``claim/NAME``."""
    return tuple(source for _, source in _sources(component.pod) if source)


def claimed_gpus(spec: Json) -> int | None:
    """Return the GPUs that a claim's spec hands out; None where it does not say.

    It is that of ``resource.k8s.io``, v1 or one of its betas: ``devices.requests[]``, since v1beta2
    below ``exactly`` or ``firstAvailable``. Whether a device is a GPU, its class says by its name.
    """
    devices = spec.get("devices")
    requests = devices.get("requests") if isinstance(devices, Mapping) else None
    if not isinstance(requests, list):
        return None
    found = [_requested(one) for one in requests]
    return None if None in found else sum(one or 0 for one in found)


def _requested(request: Any) -> int | None:
    if not isinstance(request, Mapping):
        return None
    choices = request.get("firstAvailable")
    if isinstance(choices, list):
        found = [_requested(one) for one in choices]
        return None if None in found else max((one or 0 for one in found), default=None)
    exact = request.get("exactly", request)
    if not isinstance(exact, Mapping):
        return None
    if (is_counted := _is_gpu_class(str(exact.get("deviceClassName", "")))) is not True:
        return None if is_counted is None else 0
    count = exact.get("count", 1)
    counted = exact.get("allocationMode", "ExactCount") == "ExactCount"
    return count if counted and isinstance(count, int) and count > 0 else None


def _is_gpu_class(name: str) -> bool | None:
    """Whether devices of a class are GPUs; None where its name does not tell."""
    if _COMPUTE_DOMAIN.fullmatch(name):
        return False
    if _DEVICE_CLASS.search(name):
        return True
    return False if _NO_DEVICE_CLASS.fullmatch(name) else None


def _claimed(pod: Json, claims: Claims) -> Count:
    total, unknown = 0, list[str]()
    for name, source in _sources(pod):
        if source is not None and source in claims:
            total += claims[source]
            continue
        what = f" of {source.replace('/', ' ')}" if source else ""
        unknown.append(
            f"resourceClaims[{name}]{what} does not say how many GPUs it hands out; let it ask "
            "for an exact count of a class with a name that tells, such as gpu.nvidia.com, or ask "
            "for GPUs in resources.limits"
        )
    return Uncountable(unknown[0], total) if unknown else total


def _sources(pod: Json) -> Iterator[tuple[str, str | None]]:
    for entry in objects_of(pod.get("resourceClaims")):
        template, claim = entry.get(_TEMPLATE), entry.get(_CLAIM)
        source = f"template/{template}" if template else f"claim/{claim}" if claim else None
        yield str(entry.get("name")), source


def _of_containers(pod: Json, main: int, is_counted: Callable[[str], bool] = is_gpu) -> int:
    """Return what the scheduler reserves: what runs together, or an init container before it.

    ``main`` is what the main container asks.
    """
    beside = [c for c in objects_of(pod.get("containers")) if c.get("name") != MAIN]
    together = main + sum(_asked(container.get("resources"), is_counted) for container in beside)
    sidecars, before = 0, 0
    for container in objects_of(pod.get("initContainers")):
        asked = _asked(container.get("resources"), is_counted)
        if container.get("restartPolicy") == "Always":
            sidecars, asked = sidecars + asked, 0
        before = max(before, sidecars + asked)
    return max(together + sidecars, before)


def _is_other(resource: str) -> bool:
    return resource != GPU and is_gpu(resource)


def _asked(resources: Any, is_counted: Callable[[str], bool] = is_gpu) -> int:
    """Return the devices of a container: each limit, which its request has to equal."""
    found: dict[str, int] = {}
    for kind in ("requests", "limits"):
        amounts = resources.get(kind) if isinstance(resources, Mapping) else None
        for name, amount in (amounts if isinstance(amounts, Mapping) else {}).items():
            if is_counted(str(name)) and (count := whole_number(amount)) is not None:
                found[name] = count
    return sum(found.values())
