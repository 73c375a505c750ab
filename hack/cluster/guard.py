"""Refuse to touch a cluster that this tool did not create.

The demo and the end-to-end tests install, delete and kill; in a stranger's cluster that would be
damage. A context's name proves nothing, so the authority's fingerprint has to match the marker.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from hack.cluster import kubeconfig as kubeconfigs
from hack.cluster import marker
from hack.cluster.errors import ClusterError

CURE = "make one with: python3 -m hack.cluster up"


def require_own_context(kubeconfig: Path | str) -> marker.Marker:
    """Return the marker of the cluster that the kubeconfig points to, or raise ClusterError."""
    path = Path(kubeconfig)
    document = _read(path)
    context = document.get("current-context", "")
    found = marker.read(path.parent)
    if found is None:
        raise _refusal(path, context, f"no {marker.FILE} lies beside it")
    cluster = _sole_cluster(document)
    if context != found.context or cluster.get("server") != found.server:
        raise _refusal(path, context, f"{marker.FILE} names {found.context} at {found.server}")
    authority = base64.b64decode(cluster.get("certificate-authority-data", ""))
    if kubeconfigs.authority_fingerprint(authority) != found.authority_sha256:
        raise _refusal(path, context, "its certificate authority is another cluster's")
    return found


def _read(path: Path) -> dict[str, Any]:
    """Our kubeconfigs are JSON; anything else was written by someone else."""
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise ClusterError(f"cannot read kubeconfig {path}: {error.strerror}; {CURE}") from error
    except ValueError as error:
        raise _refusal(path, "", "it was not written by this tool") from error
    return document if isinstance(document, dict) else {}


def _sole_cluster(document: dict[str, Any]) -> dict[str, Any]:
    clusters = document.get("clusters") or []
    return clusters[0]["cluster"] if len(clusters) == 1 else {}


def _refusal(path: Path, context: str, why: str) -> ClusterError:
    named = f" (context {context!r})" if context else ""
    return ClusterError(
        f"refusing to use {path}{named}: {why}. Only a cluster that this repository's own tool"
        f" created may be used here; {CURE}"
    )
