"""The light cluster for integration tests: booted once in a session, gone after it.

Use it from a ``conftest.py``::

    from support.cluster import light_cluster  # a session fixture
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from hack.cluster.guard import require_own_context

ROOT = Path(__file__).resolve().parents[2]
# Own to this process: two runs of the tests side by side must not delete each other's cluster.
NAME = f"it-{os.getpid()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCluster:
    """What a test needs to talk to the cluster."""

    __test__ = False

    name: str
    kubeconfig: Path
    context: str
    bin_dir: Path
    node_ip: str
    host_ip: str

    def kubectl(self, *arguments: str, stdin: str = "") -> str:
        """Run kubectl; a failure shows what it said."""
        return _run(
            [
                str(self.bin_dir / "kubectl"),
                f"--kubeconfig={self.kubeconfig}",
                f"--cache-dir={self.kubeconfig.parent / 'kubectl-cache'}",
                *arguments,
            ],
            stdin=stdin,
        )

    def add_gpu_nodes(self, count: int, gpus_per_node: int = 8) -> None:
        """Add fake nodes on which pods become Running."""
        wanted = ("--count", str(count), "--gpus", str(gpus_per_node))
        _tool("nodes", "--name", self.name, *wanted)


@contextmanager
def cluster(name: str, tier: str = "light") -> Iterator[TestCluster]:
    """Boot a cluster of our own; it ends with us, even when we are killed."""
    _tool("up", "--tier", tier, "--name", name, "--owner", str(os.getpid()))
    try:
        found = json.loads(_tool("status", "--json", "--name", name))
        require_own_context(found["kubeconfig"])
        yield TestCluster(
            name=name,
            kubeconfig=Path(found["kubeconfig"]),
            context=found["context"],
            bin_dir=Path(found["bin_dir"]),
            node_ip=found["node_ip"],
            host_ip=found["host_ip"],
        )
    finally:
        _tool("down", "--name", name)


@pytest.fixture(scope="session")
def light_cluster() -> Iterator[TestCluster]:
    """A control plane with KWOK, empty; tests use namespaces of their own."""
    with cluster(NAME) as booted:
        yield booted


@pytest.fixture(scope="session")
def kubeconfig(light_cluster: TestCluster) -> Path:
    """The light cluster's kubeconfig."""
    return light_cluster.kubeconfig


def _tool(*arguments: str) -> str:
    return _run([sys.executable, "-m", "hack.cluster", *arguments])


def _run(command: list[str], stdin: str = "") -> str:
    done = subprocess.run(
        command, cwd=ROOT, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
