"""The few things on the host that outlive a cluster's namespaces, and how they are put back.

Everything else (mounts, links, firewall rules, sockets) lives in the namespaces of the node and
goes with its PID 1. What does not: cgroups, six sysctls that kubelet sets, and the empty folders
under the node's private mounts. The last two belong to the machine, so they are recorded once, by
the first cluster, and put back by the last.
"""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.errors import ClusterError
from hack.cluster.model import NUMBERS
from hack.cluster.paths import locked, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TextIO

MACHINE = Path("/run/dgdr-cluster")
CGROUPS = Path("/sys/fs/cgroup")
SYSCTLS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# containerd and kubelet write below these whatever their configuration says, so the node mounts
# a tmpfs over each.
MOUNT_POINTS = ("/var/lib/kubelet", "/var/lib/cni", "/var/log/containers", "/var/log/pods")


def candidates(wanted: int | None, previous: int | None) -> Iterator[int]:
    """Order the numbers to try: the one asked for alone, else the last one used, then the rest."""
    if wanted is not None:
        if wanted not in NUMBERS:
            raise ClusterError(f"--number {wanted}: use {NUMBERS[0]} to {NUMBERS[-1]}")
        yield wanted
        return
    if previous is not None:
        yield previous
    yield from (number for number in NUMBERS if number != previous)


def lease_number(numbers: Iterable[int], occupied: frozenset[int]) -> tuple[int, TextIO]:
    """Take the first free number; it stays taken as long as any process holds the open file.

    ``occupied`` are numbers whose addresses something else on this machine routes already.
    """
    tried = []
    for number in numbers:
        tried.append(number)
        if number in occupied:
            continue
        handle = _number_file(number).open("w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            continue
        return number, handle
    if len(tried) == 1:
        raise ClusterError(f"number {tried[0]} is in use: leave --number out to get a free one")
    raise ClusterError("every cluster number is in use")


def _number_file(number: int) -> Path:
    folder = MACHINE / "numbers"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / str(number)


def number_in_use(number: int) -> bool:
    """Whether a live cluster holds the number."""
    with _number_file(number).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def record_once() -> None:
    """Remember the machine's own values, unless a running cluster has changed them already."""
    with locked(MACHINE / "lock"):
        record = MACHINE / "before.json"
        if record.exists() and json.loads(record.read_text())["boot"] == _boot_id():
            return
        before = {
            "boot": _boot_id(),
            "sysctls": {key: _sysctl(key).read_text().strip() for key in SYSCTLS},
            "absent": [path for path in MOUNT_POINTS if not Path(path).exists()],
        }
        write_atomically(record, json.dumps(before, indent=1))


def restore_after_last() -> None:
    """Put the machine's values back, unless another cluster still runs."""
    with locked(MACHINE / "lock"):
        record = MACHINE / "before.json"
        if any(number_in_use(n) for n in _numbers_seen()) or not record.exists():
            return
        before = json.loads(record.read_text())
        if before["boot"] == _boot_id():
            for key, value in before["sysctls"].items():
                if _sysctl(key).read_text().strip() != value:
                    _sysctl(key).write_text(value)
            # A folder that holds anything is not ours to remove.
            for path in before["absent"]:
                with suppress(OSError):
                    Path(path).rmdir()
        record.unlink()


def _numbers_seen() -> list[int]:
    return [int(path.name) for path in (MACHINE / "numbers").glob("[0-9]*")]


def _sysctl(key: str) -> Path:
    return Path("/proc/sys") / key


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


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
    for controller in controllers():
        (controller / name).mkdir(exist_ok=True)


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
