"""What is kept of the objects that are followed: what some pass reads, and nothing else.

Of an SLAPlanner as the API server tells it half is history: which field was written by whom. Each
function may be applied to its own result.
"""

from typing import Any

Manifest = dict[str, Any]

_UNREAD_ANNOTATION = "kubectl.kubernetes.io/last-applied-configuration"


def without_history(manifest: Manifest) -> Manifest:
    """Keep an object, but for what says only how it came to be so."""
    meta = {key: value for key, value in manifest["metadata"].items() if key != "managedFields"}
    if annotations := meta.get("annotations"):
        meta["annotations"] = {k: v for k, v in annotations.items() if k != _UNREAD_ANNOTATION}
    return {**manifest, "metadata": meta}


def with_writers(manifest: Manifest) -> Manifest:
    """Keep of the history who wrote which replicas, and when."""
    found = without_history(manifest)
    entries = manifest["metadata"].get("managedFields") or ()
    writers = [
        {**entry, "fieldsV1": {"f:spec": replicas}}
        for entry in entries
        if (replicas := _replicas((entry.get("fieldsV1") or {}).get("f:spec") or {}))
    ]
    return {**found, "metadata": {**found["metadata"], "managedFields": writers}}


def _replicas(fields: Manifest) -> Manifest:
    """Return the paths that end at replicas."""
    return {
        name: inner
        for name, below in fields.items()
        if (inner := _replicas(below)) or name == "f:replicas"
    }
