"""Cgroups and links on the host: what outlives a cluster's namespaces.

Everything else (mounts, firewall rules, sockets) lives in the namespaces of the node and goes with
its PID 1. This has run on cgroup v1 (and its mixture with v2) only; for a pure v2 it follows the
kernel's documentation.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def remove_link(link: str) -> None:
    """Do not wait for the kernel, which drops the veth pair some time after its namespace."""
    if Path("/sys/class/net", link).exists():
        subprocess.run(["ip", "link", "delete", link], stderr=subprocess.DEVNULL, check=False)


def controllers() -> list[Path]:
    """Every cgroup hierarchy: one for each v1 controller, or the one of v2."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return sorted(path.parent for path in CGROUPS.glob("*/cgroup.procs"))


def make_cgroups(name: str) -> None:
    """Kubelet refuses a cgroup root that any hierarchy lacks."""
    for top in controllers():
        if top == CGROUPS:
            offered = (top / "cgroup.controllers").read_text().split()
            (top / "cgroup.subtree_control").write_text(" ".join(f"+{c}" for c in offered))
        (top / name).mkdir(exist_ok=True)


def remove_cgroups(name: str, patience_s: float = 5.0) -> list[Path]:
    """Remove the cluster's trees; the kernel may need a moment after the last process died."""
    deadline = time.monotonic() + patience_s
    while True:
        left = [path for top in controllers() for path in _remove_tree(top / name)]
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.05)


def _remove_tree(top: Path) -> list[Path]:
    left = []
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            left.append(Path(folder))
    return left
