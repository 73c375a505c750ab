"""One OCI archive out of the blobs that buildah writes into a folder.

buildah compresses every layer of an archive that it writes itself, which costs most of a build's
time and is undone when the archive is imported. Into a plain folder it writes them as they are.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_COPY_BYTES = 4 << 20


def pack(folder: Path, reference: str, archive: Path) -> None:
    """Write ``archive`` from a folder in the layout of containers/image's ``dir`` transport."""
    manifest = (folder / "manifest.json").read_bytes()
    described = json.loads(manifest)
    digests = [described["config"]["digest"], *(layer["digest"] for layer in described["layers"])]
    with tarfile.TarFile(archive, "w", format=tarfile.GNU_FORMAT, copybufsize=_COPY_BYTES) as tar:
        # First what a reader looks for first.
        _add_bytes(tar, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
        _add_bytes(tar, "index.json", _index(manifest, reference))
        _add_bytes(tar, f"blobs/sha256/{hashlib.sha256(manifest).hexdigest()}", manifest)
        for hexadecimal in dict.fromkeys(digest.removeprefix("sha256:") for digest in digests):
            _add_file(tar, f"blobs/sha256/{hexadecimal}", folder / hexadecimal)


def _index(manifest: bytes, reference: str) -> bytes:
    entry = {
        "mediaType": MANIFEST_TYPE,
        "digest": f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        "size": len(manifest),
        # The first is what containerd names the image by, the second what OCI tools read.
        "annotations": {
            "io.containerd.image.name": reference,
            "org.opencontainers.image.ref.name": reference.rpartition(":")[2],
        },
    }
    return json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> None:
    member = tarfile.TarInfo(name)
    member.size = path.stat().st_size
    with path.open("rb") as content:
        tar.addfile(member, content)
