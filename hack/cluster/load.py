"""Bring OCI archives into the node's containerd, each digest once."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

from hack.cluster import node, oci
from hack.cluster.errors import ClusterError
from hack.cluster.model import CONTAINERD_SOCKET

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# kubelet sees no image of another containerd namespace.
_NAMESPACE = "k8s.io"


def load(init: int, archives: Iterable[Path]) -> dict[str, str]:
    """Import what is not there yet; by reference, what was done."""
    there = present(_ctr(init, "images", "list"))
    done = {}
    for archive in archives:
        for image in oci.read_images(archive):
            if there.get(image.reference) == image.digest:
                done[image.reference] = "already there"
                continue
            began = time.monotonic()
            base = ["--base-name", image.repository] if image.needs_base_name else []
            _ctr(init, "images", "import", *base, str(archive.resolve()))
            done[image.reference] = f"imported in {time.monotonic() - began:.1f} s"
    return done


def load_when_up(init: int, archives: Iterable[Path], patience_s: float) -> None:
    """Load into a containerd that is starting."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            _ctr(init, "version")
        except ClusterError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
            continue
        load(init, archives)
        return


def present(listing: str) -> dict[str, str]:
    """Digest by reference, out of ``ctr images list``."""
    rows = [line.split() for line in listing.splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def _ctr(init: int, *arguments: str) -> str:
    command = ("ctr", "--address", CONTAINERD_SOCKET, "--namespace", _NAMESPACE, *arguments)
    done = subprocess.run(
        node.inside(init, *command),
        env=node.ENVIRONMENT,
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(f"ctr {' '.join(arguments)} failed: {done.stderr.strip()[-1000:]}")
    return done.stdout
