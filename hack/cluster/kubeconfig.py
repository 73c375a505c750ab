"""Kubeconfig files, written as JSON: every client reads it as YAML, and the guard reads it too."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def render(*, context: str, server: str, authority: bytes, certificate: bytes, key: bytes) -> str:
    """One cluster, one user, one context, all of the same name; nothing by reference."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "clusters": [
            {
                "name": context,
                "cluster": {"server": server, "certificate-authority-data": _b64(authority)},
            }
        ],
        "users": [
            {
                "name": context,
                "user": {
                    "client-certificate-data": _b64(certificate),
                    "client-key-data": _b64(key),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
    }
    return json.dumps(document, indent=1) + "\n"


def render_for(pki: Path, user: str, *, context: str, server: str) -> str:
    """Render with the certificate of ``user`` that lies in the folder."""
    return render(
        context=context,
        server=server,
        authority=(pki / "ca.crt").read_bytes(),
        certificate=(pki / f"{user}.crt").read_bytes(),
        key=(pki / f"{user}.key").read_bytes(),
    )


def authority_fingerprint(authority: bytes) -> str:
    """What tells two clusters apart that have the same address and name."""
    return hashlib.sha256(authority).hexdigest()


def _b64(content: bytes) -> str:
    return base64.b64encode(content).decode()
