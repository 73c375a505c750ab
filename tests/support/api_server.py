"""The API server of a native cluster as a process that is killed, and started again."""

import os
import signal
import time
from pathlib import Path

from hack.cluster import components, native, node, process
from hack.cluster.api import Api
from hack.cluster.components import Component

PROGRAM = "kube-apiserver"
PATIENCE_S = 120.0


class ApiServer:
    """That of the cluster of this name; etcd, with the data, runs on."""

    def __init__(self, name: str) -> None:
        found = native.running(name)
        assert found.init is not None
        self._tier, self._init = found.tier, found.init.pid
        self._cluster, self._binaries = native.cluster_of(found), Path(found.bin_dir)
        self._api = Api(self._cluster.server, self._cluster.pki)

    def kill(self) -> None:
        """End it as the kernel would."""
        (pid,) = (
            pid
            for pid in process.children(self._init)
            if process.program_of(pid).endswith(f"/{PROGRAM}")
        )
        os.kill(pid, signal.SIGKILL)

    def start(self) -> None:
        """Start it again, and whatever could not live without it."""
        parts = [
            components.apiserver(self._cluster, self._binaries),
            *components.second(self._cluster, self._binaries),
        ]
        node.start(self._cluster, self._init, [part for part in parts if self._is_gone(part)])

    def is_ready(self) -> bool:
        """Whether it serves."""
        return self._api.is_ready()

    def wait_ready(self) -> None:
        """Wait until it serves."""
        end_s = time.monotonic() + PATIENCE_S
        while not self.is_ready():
            assert time.monotonic() < end_s, f"{PROGRAM} is not ready after {PATIENCE_S:.0f} s"
            time.sleep(0.1)

    def _is_gone(self, part: Component) -> bool:
        return part.program not in node.running_programs(self._init)
