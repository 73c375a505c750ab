"""The operator as a process of its own, against a real API server."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.cluster import TestCluster
from support.live_metrics import free_port

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
CLUSTER_ROLE = "dgdr-operator-profiling-job"
PATIENCE_S = 60.0


class OperatorProcess:
    """Starts, kills and starts again."""

    def __init__(
        self,
        where: TestCluster,
        folder: Path,
        namespaces: list[str],
        config: str = "",
        *,
        lease_in: str = "",
        **sections: Any,
    ) -> None:
        self.where = where
        self.name = folder.name
        self.code = ["-m", "dgdr_operator"]
        self.kubeconfig = where.kubeconfig
        self.log = folder / "operator.log"
        self._config = folder / "config.yaml"
        self.port = free_port()
        settings: dict[str, Any] = {
            "namespaces": namespaces,
            "images": {"profiler": "registry.test/profiler:1"},
            "profiling": {"clusterRole": CLUSTER_ROLE},
            "health": {"port": self.port},
            **sections,
        }
        if lease_in:
            settings["leaderElection"] = {
                "namespace": lease_in,
                "operatorLease": "dgdr-operator",
                "plannerLease": "dgdr-planner",
            }
        self._config.write_text(config or yaml.safe_dump(settings))
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self) -> None:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "DGDR_CONFIG": str(self._config),
            "POD_NAME": self.name,
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.code],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                # As in a pod, its share of the CPUs is its own.
                start_new_session=True,
            )
        self.starts += 1

    def samples(self, name: str) -> dict[frozenset[tuple[str, str]], float]:
        """Read a metric off its page: values by labels."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            page = answer.read().decode()
        return {
            frozenset(sample.labels.items()): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
            if sample.name == name
        }

    def kill(self) -> None:
        """End it as the kernel would, with no chance to tidy up."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, and do not wait for what comes of it."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> int:
        """End it as the kubelet would; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(timeout=30)

    def wait(self) -> int:
        """Wait for its own end; returns the exit code."""
        assert self._process is not None
        return self._process.wait(timeout=90)

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


@contextmanager
def operator_process(
    where: TestCluster, folder: Path, namespaces: list[str], config: str = ""
) -> Iterator[OperatorProcess]:
    process = OperatorProcess(where, folder, namespaces, config)
    process.start()
    try:
        yield process
    finally:
        process.kill()


def until(what: str, check: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """Wait until the check returns something true."""
    end = time.monotonic() + patience_s
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.3)


class Namespace:
    """kubectl in one namespace, which is created where it is not there."""

    def __init__(self, where: TestCluster, name: str) -> None:
        self.where = where
        self.name = name
        meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        where.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(meta))

    def apply(self, *manifests: dict[str, Any]) -> None:
        text = yaml.safe_dump_all(manifests)
        self.where.kubectl("apply", "-n", self.name, "-f", "-", stdin=text)

    def get(self, kind: str, name: str) -> dict[str, Any] | None:
        text = self.where.kubectl(
            "get", kind, name, "-n", self.name, "--ignore-not-found", "--show-managed-fields",
            "-o", "json",
        )  # fmt: skip
        return json.loads(text) if text.strip() else None

    def names(self, kind: str) -> list[str]:
        text = self.where.kubectl("get", kind, "-n", self.name, "-o", "json")
        return sorted(item["metadata"]["name"] for item in json.loads(text)["items"])

    def kubectl(self, *arguments: str) -> str:
        return self.where.kubectl(*arguments, "-n", self.name)

    def events(self, about: str) -> list[str]:
        text = self.where.kubectl("get", "events", "-n", self.name, "-o", "json")
        return [
            item["reason"]
            for item in json.loads(text)["items"]
            if item["involvedObject"]["name"] == about
        ]
