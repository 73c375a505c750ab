"""Demo and end-to-end tests refuse every cluster that this tool did not create."""

import json
from pathlib import Path

import pytest

from hack.cluster import kubeconfig, marker
from hack.cluster.errors import ClusterError
from hack.cluster.guard import require_own_context
from hack.cluster.model import Tier

SERVER = "https://10.200.1.2:6443"


def write(home: Path, *, context: str = "dgdr-x", authority: bytes = b"ours") -> Path:
    path = home / "kubeconfig"
    path.write_text(
        kubeconfig.render(
            context=context, server=SERVER, authority=authority, certificate=b"c", key=b"k"
        )
    )
    return path


@pytest.fixture
def marked(tmp_path: Path) -> Path:
    made = marker.Marker(
        name="x",
        tier=Tier.FULL,
        number=1,
        backend=marker.NATIVE,
        context="dgdr-x",
        server=SERVER,
        authority_sha256=kubeconfig.authority_fingerprint(b"ours"),
        bin_dir="/bin-dir",
        created_at="2026-01-01T00:00:00+00:00",
    )
    marker.write(tmp_path, made)
    return tmp_path


def test_our_own_context_passes(marked: Path) -> None:
    assert require_own_context(write(marked)).name == "x"


def test_a_kubeconfig_without_a_marker_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"refusing .*no created-by-dgdr\.json lies beside it"):
        require_own_context(write(tmp_path))


def test_another_context_is_refused(marked: Path) -> None:
    with pytest.raises(ClusterError, match=r"refusing .*'production'"):
        require_own_context(write(marked, context="production"))


def test_another_cluster_at_the_same_address_is_refused(marked: Path) -> None:
    with pytest.raises(ClusterError, match="certificate authority is another cluster's"):
        require_own_context(write(marked, authority=b"theirs"))


def test_a_kubeconfig_that_holds_several_clusters_is_refused(marked: Path) -> None:
    path = write(marked)
    document = json.loads(path.read_text())
    document["clusters"].append(document["clusters"][0])
    path.write_text(json.dumps(document))
    with pytest.raises(ClusterError, match="refusing"):
        require_own_context(path)


def test_a_users_own_yaml_is_refused(marked: Path) -> None:
    path = marked / "kubeconfig"
    path.write_text("apiVersion: v1\nkind: Config\n")
    with pytest.raises(ClusterError, match="not written by this tool"):
        require_own_context(path)


def test_a_missing_kubeconfig_says_how_to_make_a_cluster(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"python3 -m hack\.cluster up"):
        require_own_context(tmp_path / "kubeconfig")
