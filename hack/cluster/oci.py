"""OCI archives of one uncompressed layer, without a daemon; and what an archive says it is."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hack.cluster.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NAME_ANNOTATION = "io.containerd.image.name"
REFERENCE_ANNOTATION = "org.opencontainers.image.ref.name"
_TYPE = "application/vnd.oci.image"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchivedImage:
    """One image of an archive: its full reference and the digest of its manifest."""

    reference: str
    digest: str
    # buildah writes the reference under an annotation that containerd takes for a tag only.
    needs_base_name: bool

    @property
    def repository(self) -> str:
        return self.reference.rpartition(":")[0]


def read_images(archive: Path) -> list[ArchivedImage]:
    """List an OCI archive's images by its index."""
    try:
        with tarfile.open(archive) as tar:
            member = tar.extractfile("index.json")
            index = json.loads(member.read() if member else b"{}")
    except (KeyError, OSError, tarfile.TarError, ValueError) as exc:
        raise ClusterError(f"{archive} is no OCI archive: {exc}") from exc
    return [_archived(archive, manifest) for manifest in index.get("manifests", [])]


def _archived(archive: Path, manifest: dict[str, Any]) -> ArchivedImage:
    annotations = manifest.get("annotations", {})
    name = annotations.get(NAME_ANNOTATION)
    reference = name or annotations.get(REFERENCE_ANNOTATION, "")
    if "/" not in reference or ":" not in reference.rpartition("/")[2]:
        raise ClusterError(
            f"{archive} names its image {reference!r}: a full reference such as"
            " registry.test/dgdr/operator:dev is needed, since nothing can be pulled"
        )
    return ArchivedImage(
        reference=reference, digest=manifest["digest"], needs_base_name=name is None
    )


def write_archive(
    archive: Path, reference: str, contents: Mapping[str, bytes], entrypoint: list[str]
) -> None:
    """Write executables into an image. Equal contents give an equal archive, byte for byte."""
    layer = _tar({path: (content, 0o755) for path, content in contents.items()})
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": entrypoint},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPE}.manifest.v1+json",
            "config": _descriptor(config, f"{_TYPE}.config.v1+json"),
            "layers": [_descriptor(layer, f"{_TYPE}.layer.v1.tar")],
        }
    )
    entry = _descriptor(manifest, f"{_TYPE}.manifest.v1+json")
    entry["annotations"] = {NAME_ANNOTATION: reference}
    files = {f"blobs/sha256/{_digest(b)[7:]}": (b, 0o644) for b in (layer, config, manifest)}
    files["index.json"] = (_json({"schemaVersion": 2, "manifests": [entry]}), 0o644)
    files["oci-layout"] = (_json({"imageLayoutVersion": "1.0.0"}), 0o644)
    archive.write_bytes(_tar(files))


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, (content, mode) in sorted(files.items()):
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), mode
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _descriptor(content: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
