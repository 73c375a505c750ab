"""Archives are reproducible, and what is in containerd already is not imported again."""

import io
import json
import tarfile
from pathlib import Path

import pytest

from hack.cluster import load, oci
from hack.cluster.errors import ClusterError

REFERENCE = "registry.test/dgdr/tool:dev"


def archive(path: Path, annotations: dict[str, str]) -> Path:
    index = {"manifests": [{"digest": "sha256:ab", "annotations": annotations}]}
    content = json.dumps(index).encode()
    with tarfile.open(path, "w") as tar:
        member = tarfile.TarInfo("index.json")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return path


def test_equal_contents_give_equal_archives(tmp_path: Path) -> None:
    for name in ("a.tar", "b.tar"):
        oci.write_archive(tmp_path / name, REFERENCE, {"bin/x": b"#!"}, ["/bin/x"])
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()


def test_an_archive_names_its_image_and_its_manifest(tmp_path: Path) -> None:
    oci.write_archive(tmp_path / "a.tar", REFERENCE, {"bin/x": b"#!"}, ["/bin/x"])
    (image,) = oci.read_images(tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        names = tar.getnames()
    assert image.reference == REFERENCE
    assert f"blobs/sha256/{image.digest.removeprefix('sha256:')}" in names
    assert not image.needs_base_name


def test_a_reference_written_by_buildah_needs_its_repository_said(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.tar", {oci.REFERENCE_ANNOTATION: REFERENCE})
    (image,) = oci.read_images(path)
    assert (image.needs_base_name, image.repository) == (True, "registry.test/dgdr/tool")


@pytest.mark.parametrize("reference", ["", "latest", "registry.test:5000/tool"])
def test_an_image_without_a_full_reference_is_refused(tmp_path: Path, reference: str) -> None:
    path = archive(tmp_path / "a.tar", {oci.NAME_ANNOTATION: reference})
    with pytest.raises(ClusterError, match="a full reference such as"):
        oci.read_images(path)


def test_a_file_that_is_no_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_text("words")
    with pytest.raises(ClusterError, match=r"x\.tar is no OCI archive"):
        oci.read_images(tmp_path / "x.tar")


def test_the_listing_of_containerd_gives_digests_by_reference() -> None:
    listing = (
        "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
        "registry.test/pause:1 application/vnd.oci.image.manifest.v1+json sha256:ab 1 KiB - -\n"
    )
    assert load.present(listing) == {"registry.test/pause:1": "sha256:ab"}
