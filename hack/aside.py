"""Runs a command with what is left of the CPU: `python3 -m hack.aside COMMAND [ARGUMENT...]`.

Priorities do not do it: the kernel shares the CPU by session first, and whatever the command starts
as a daemon has a session of its own. A cgroup holds them all. Where none can be made the command
runs with the lowest priority.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hack.cluster.host import CGROUPS

NAME = "dgdr-aside"
SHARES_V1 = 128  # of 1024, what a cgroup has that nobody changed
WEIGHT_V2 = 12  # of 100, likewise


def main(command: list[str]) -> None:
    try:
        _join(_group(CGROUPS))
    except OSError as refused:
        print(f"aside: no cgroup ({refused}); the lowest priority instead", file=sys.stderr)
        os.nice(19)
    os.execvp(command[0], command)


def _group(cgroups: Path) -> Path:
    """The cgroup with a small share, made where it is not there."""
    if not (cgroups / "cgroup.controllers").exists():
        return _made(cgroups / "cpu" / NAME, "cpu.shares", SHARES_V1)
    (cgroups / "cgroup.subtree_control").write_text("+cpu")
    return _made(cgroups / NAME, "cpu.weight", WEIGHT_V2)


def _made(group: Path, share: str, value: int) -> Path:
    group.mkdir(exist_ok=True)
    (group / share).write_text(str(value))
    return group


def _join(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))


if __name__ == "__main__":
    main(sys.argv[1:])
