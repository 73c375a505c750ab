"""Start a keeper, and hold the lease on it until the cluster is usable."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from hack.cluster import paths, process
from hack.cluster.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

    from hack.cluster.model import Cluster


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A started node. It ends with this process unless ``ready`` is called."""

    init: process.Process
    keeper: process.Process
    popen: subprocess.Popen[str]

    def ready(self) -> None:
        """From now on the node outlives us."""
        assert self.popen.stdin is not None
        self.popen.stdin.write("ready\n")
        self.popen.stdin.close()

    def abandon(self) -> None:
        """End the node, and return when the keeper has put everything back."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()
        self.popen.wait()


def start_keeper(
    cluster: Cluster, init_program: Path, number_lock: TextIO, owner: int | None
) -> Lease:
    """Start the keeper, which inherits the lock on the cluster's number."""
    log = cluster.logs / "keeper.log"
    arguments = {
        "--init": str(init_program),
        "--link": cluster.link,
        "--cgroup": cluster.cgroup,
        "--number-lock": str(number_lock.fileno()),
    }
    if owner is not None:
        arguments |= {"--owner": str(owner), "--name": cluster.name}
    with log.open("w") as errors:
        popen = subprocess.Popen(
            [sys.executable, "-m", "hack.cluster.keeper", *_flat(arguments)],
            cwd=paths.REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
            pass_fds=(number_lock.fileno(),),
        )
    assert popen.stdout is not None
    with popen.stdout:
        told = popen.stdout.readline()
    init = process.find(json.loads(told)["init"]) if told else None
    keeper = process.find(popen.pid)
    if init is None or keeper is None:
        popen.communicate()
        raise ClusterError(f"the node did not start: {log.read_text().strip()[-1000:]}")
    return Lease(init=init, keeper=keeper, popen=popen)


def _flat(arguments: dict[str, str]) -> list[str]:
    return [part for pair in arguments.items() for part in pair]
