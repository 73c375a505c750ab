"""Where a Docker daemon answers: the same cluster by kind. One node, real pods, both tiers."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hack.cluster import gpus, kubeconfig, marker, paths, tools
from hack.cluster.errors import ClusterError
from hack.cluster.model import Tier, context_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hack.cluster.marker import Marker

CONFIG = paths.REPOSITORY / "kind-config.yaml"
ALLOCATABLE_PATIENCE_S = 60.0


def docker_answers() -> bool:
    """A client without a daemon does not count."""
    if shutil.which("docker") is None:
        return False
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def verify_config() -> None:
    """Decode kind-config.yaml strictly against the types of the pinned kind."""
    checker = tools.ensure(tools.KINDCONFIG) / "kindconfig"
    _run([str(checker), str(CONFIG)])


def up(name: str, tier: Tier) -> None:
    """Create the cluster unless it runs already."""
    home = paths.home_of(name)
    found = marker.read(home)
    if found is not None:
        if why_unhealthy(found) is None:
            return
        down(name)
    binaries = tools.ensure(tools.KIND)
    home.mkdir(parents=True, exist_ok=True)
    written_by_kind = home / "kind.yaml"
    options = ["--config", str(CONFIG), "--kubeconfig", str(written_by_kind), "--wait", "120s"]
    _run([str(binaries / "kind"), "create", "cluster", "--name", context_of(name), *options])
    _adopt(name, tier, written_by_kind, binaries)
    _offer_gpus(binaries, home / "kubeconfig")


def _adopt(name: str, tier: Tier, written_by_kind: Path, binaries: Path) -> None:
    """Write our own kubeconfig and the marker, so that the guard knows this cluster."""
    view = ["config", "view", "--raw", "--flatten", "--output", "json"]
    document = json.loads(_kubectl(binaries, written_by_kind, *view))
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"])
    text = kubeconfig.render(
        context=context_of(name),
        server=cluster["server"],
        authority=authority,
        certificate=base64.b64decode(user["client-certificate-data"]),
        key=base64.b64decode(user["client-key-data"]),
    )
    home = written_by_kind.parent
    paths.write_atomically(home / "kubeconfig", text)
    written_by_kind.unlink()
    made = marker.Marker(
        name=name,
        tier=tier,
        number=0,
        backend=marker.KIND,
        context=context_of(name),
        server=cluster["server"],
        authority_sha256=kubeconfig.authority_fingerprint(authority),
        bin_dir=str(binaries),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    marker.write(home, made)


def _offer_gpus(binaries: Path, config: Path) -> None:
    """Give the one node its fake GPUs; its labels come from kind-config.yaml."""
    node = _kubectl(binaries, config, "get", "nodes", "--output=name").strip()
    patch = json.dumps({"status": {"capacity": {gpus.RESOURCE: str(gpus.COUNT)}}})
    _kubectl(binaries, config, "patch", node, "--subresource=status", "--type=merge", "-p", patch)
    deadline = time.monotonic() + ALLOCATABLE_PATIENCE_S
    while _allocatable(binaries, config, node) != str(gpus.COUNT):
        if time.monotonic() > deadline:
            raise ClusterError(f"{node} does not offer {gpus.RESOURCE}")
        time.sleep(0.5)


def _allocatable(binaries: Path, config: Path, node: str) -> str | None:
    found: dict[str, Any] = json.loads(_kubectl(binaries, config, "get", node, "--output=json"))
    offered: dict[str, str] = found["status"]["allocatable"]
    return offered.get(gpus.RESOURCE)


def down(name: str) -> bool:
    home = paths.home_of(name)
    existed = home.exists()
    binary = str(tools.ensure(tools.KIND) / "kind")
    _run([binary, "delete", "cluster", "--name", context_of(name)])
    shutil.rmtree(home, ignore_errors=True)
    return existed


def why_unhealthy(found: Marker) -> str | None:
    """Name what is wrong; None when the API server answers as this cluster's."""
    config = paths.home_of(found.name) / "kubeconfig"
    try:
        _kubectl(Path(found.bin_dir), config, "get", "--raw", "/readyz")
    except ClusterError as error:
        return str(error)
    return None


def load(name: str, archives: Iterable[Path]) -> dict[str, str]:
    binary = str(tools.ensure(tools.KIND) / "kind")
    done = {}
    for archive in archives:
        _run([binary, "load", "image-archive", str(archive), "--name", context_of(name)])
        done[str(archive)] = "loaded"
    return done


def _kubectl(binaries: Path, config: Path, *arguments: str) -> str:
    cache = f"--cache-dir={config.parent / 'kubectl-cache'}"
    return _run([str(binaries / "kubectl"), f"--kubeconfig={config}", cache, *arguments])


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shown = " ".join([command[0].rpartition("/")[2], *command[1:4]])
        raise ClusterError(f"{shown} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout
