"""What is kept of each object that is followed: what some pass reads, and nothing else.

Each function may be applied to its own result.
"""

from collections.abc import Iterable
from typing import Any

from dgdr_api import names
from dgdr_api.names import FieldManager
from dgdr_api.pods import GPU, GPU_PRODUCT
from dgdr_kube.store import PARTIAL

Manifest = dict[str, Any]

# A result with its curves has tens of KB. The few that are larger are read when they are needed.
LONGEST_DATA_CHARS = 256 * 1024
_TOLD_AND_OUTPUT = (names.job_name(""), names.output_config_map(""))
_UNREAD_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"
_IDENTITY = ("name", "namespace", "uid", "resourceVersion")
_GPU_LABELS = (GPU_PRODUCT, "nvidia.com/gpu.count", "nvidia.com/gpu.memory")


def without_history(manifest: Manifest) -> Manifest:
    """Keep an object, but for what says only how it came to be so."""
    return {**manifest, "metadata": _meta(manifest)}


def only_metadata(manifest: Manifest) -> Manifest:
    """Keep whose it is, and that it is there."""
    return _with(manifest, {"metadata": _meta(manifest)})


def only_name(manifest: Manifest) -> Manifest:
    """Keep that it is there."""
    meta = {key: manifest["metadata"][key] for key in _IDENTITY if key in manifest["metadata"]}
    return _with(manifest, {"metadata": meta})


def of_config_map(manifest: Manifest) -> Manifest:
    """Keep what a Job was told and what it wrote; of curves only that they are there."""
    if not manifest["metadata"]["name"].startswith(_TOLD_AND_OUTPUT):
        return only_metadata(manifest)
    data = {key: manifest.get(key) or {} for key in ("data", "binaryData")}
    if sum(len(text) for part in data.values() for text in part.values()) <= LONGEST_DATA_CHARS:
        return without_history(manifest)
    return {**only_metadata(manifest), PARTIAL: True}


def of_pod(manifest: Manifest) -> Manifest:
    """Keep whether a pod has a node, and how its containers are."""
    status = manifest.get("status") or {}
    conditions = [c for c in status.get("conditions") or () if c.get("type") == "PodScheduled"]
    kept = {k: status[k] for k in _POD_STATUS if k in status}
    return _with(
        manifest, {"metadata": _meta(manifest), "status": {**kept, "conditions": conditions}}
    )


_POD_STATUS = ("phase", "containerStatuses", "initContainerStatuses")


def of_node(manifest: Manifest) -> Manifest:
    """Keep the GPUs: a whole node takes 62 KB, and a cluster may have thousands."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    labels = _chosen(meta.get("labels"), _GPU_LABELS)
    kept = {key: meta[key] for key in _IDENTITY if key in meta}
    allocatable = _chosen(status.get("allocatable"), (GPU,))
    return _with(
        manifest,
        {"metadata": {**kept, "labels": labels}, "status": {"allocatable": allocatable}},
    )


def has_gpus(node: Manifest) -> bool:
    """Whether a node says anything of GPUs."""
    labels = node["metadata"].get("labels")
    allocatable = (node.get("status") or {}).get("allocatable")
    return bool(_chosen(labels, _GPU_LABELS) or _chosen(allocatable, (GPU,)))


def _with(manifest: Manifest, parts: Manifest) -> Manifest:
    return {"apiVersion": manifest["apiVersion"], "kind": manifest["kind"], **parts}


def _chosen(found: Manifest | None, keys: Iterable[str]) -> Manifest:
    return {key: found[key] for key in keys if found and key in found}


def _meta(manifest: Manifest) -> Manifest:
    meta = {**manifest["metadata"]}
    if annotations := meta.pop("annotations", None):
        meta["annotations"] = {k: v for k, v in annotations.items() if k != _UNREAD_ANNOTATION}
    if entries := meta.pop("managedFields", None):
        meta["managedFields"] = [_managed(entry) for entry in entries]
    return meta


def _managed(entry: Manifest) -> Manifest:
    """Keep who wrote; of fields only which replicas are an adapter's."""
    keys = ("manager", "operation", "subresource")
    kept = {key: entry[key] for key in keys if key in entry}
    if entry.get("manager") == FieldManager.SCALE and "fieldsV1" in entry:
        kept["fieldsV1"] = entry["fieldsV1"]
    return kept
