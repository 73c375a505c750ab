"""Programs that come from the distribution, installed when missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.errors import ClusterError
from hack.cluster.model import Tier
from hack.cluster.paths import cache_root, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

# What has to be there -> the Debian package that brings it.
LIGHT = {
    "openssl": "openssl",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setsid": "util-linux",
    "ip": "iproute2",
    "gcc": "gcc",
    "/usr/include/stdio.h": "libc6-dev",
}
FULL = LIGHT | {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "/usr/lib/cni/portmap": "containernetworking-plugins",
    "iptables": "iptables",
    "nft": "nftables",
}
POLICY = Path("/usr/sbin/policy-rc.d")


def missing(needed: dict[str, str]) -> list[str]:
    """The packages whose program or file is not there."""
    return sorted({package for what, package in needed.items() if not _is_there(what)})


def _is_there(what: str) -> bool:
    return Path(what).exists() if what.startswith("/") else shutil.which(what) is not None


def ensure_for(tier: Tier) -> None:
    """Check for root and for what a cluster needs; install what is missing, or say what to."""
    if os.geteuid() != 0:
        raise ClusterError(
            "a native cluster makes namespaces, links and cgroups: run as root, or start Docker"
            " and a kind cluster is made instead"
        )
    ensure(FULL if tier is Tier.FULL else LIGHT)


def ensure(needed: dict[str, str]) -> None:
    """Install what is missing, one caller at a time, or say what to install."""
    if not missing(needed):
        return
    with locked(cache_root() / "packages.lock"):
        wanted = missing(needed)
        if wanted and shutil.which("apt-get") is None:
            raise ClusterError(f"missing: {', '.join(wanted)} (Debian's names); install them")
        if wanted:
            print(f"installing {' '.join(wanted)}", file=sys.stderr, flush=True)
            with _no_service_starts():
                _install(wanted)
    still = missing(needed)
    if still:
        raise ClusterError(f"installed, but still missing what these bring: {', '.join(still)}")


def _install(wanted: list[str]) -> None:
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # The lists of a fresh machine are empty or stale: one update, then a second try.
    for command in (install, ["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0 and command is install:
            return
    raise ClusterError(f"apt-get install {' '.join(wanted)} failed:\n{done.stderr[-2000:]}")


@contextmanager
def _no_service_starts() -> Iterator[None]:
    """Keep the packages from starting a containerd service beside ours."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
