"""Archives are what containerd and our own loader read."""

import hashlib
import json
import tarfile
from pathlib import Path

from hack.cluster import oci
from hack.images import archive

REFERENCE = "registry.test/dgdr/operator:dev"


def blob(folder: Path, content: bytes) -> dict[str, object]:
    name = hashlib.sha256(content).hexdigest()
    (folder / name).write_bytes(content)
    return {"digest": f"sha256:{name}", "size": len(content)}


def pushed(folder: Path) -> bytes:
    """Lay a folder out as buildah's ``dir:`` does, with one layer used twice."""
    layer = blob(folder, b"layer")
    manifest = {"schemaVersion": 2, "config": blob(folder, b"{}"), "layers": [layer, layer]}
    content = json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(content)
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    return content


def test_our_loader_reads_the_reference_and_the_manifests_digest(tmp_path: Path) -> None:
    manifest = pushed(tmp_path)
    archive.pack(tmp_path, REFERENCE, tmp_path / "image.tar")
    (image,) = oci.read_images(tmp_path / "image.tar")
    assert image.reference == REFERENCE
    assert image.digest == f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    assert not image.needs_base_name


def test_every_blob_is_there_once_and_is_what_its_name_says(tmp_path: Path) -> None:
    pushed(tmp_path)
    archive.pack(tmp_path, REFERENCE, tmp_path / "image.tar")
    with tarfile.open(tmp_path / "image.tar") as tar:
        names = tar.getnames()
        blobs = {
            name: member.read()
            for name in names
            if name.startswith("blobs/") and (member := tar.extractfile(name))
        }
    assert names[:2] == ["oci-layout", "index.json"]
    assert len(names) == len(set(names)) == 5
    for name, content in blobs.items():
        assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_the_same_image_makes_the_same_archive(tmp_path: Path) -> None:
    pushed(tmp_path)
    for file in ("one.tar", "two.tar"):
        archive.pack(tmp_path, REFERENCE, tmp_path / file)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
