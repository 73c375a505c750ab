"""A planner as a process: on a real API server, with a real Prometheus and pretended frontends."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.cluster import ROOT, TestCluster
from support.live_metrics import Frontend, LivePrometheus, prometheus, served, until
from support.planning import (
    DGD_NAME,
    DYNAMO_NAMESPACE,
    NAMESPACE,
    adapter,
    curves_config_map,
    graph_deployment,
    sla_planner,
)

QUICK = {"scaleDown": {"stabilizationWindowSeconds": 10, "maxStep": 8}}


@dataclass
class Stage:
    """A deployment, its planner, the load on it, and the planner's process."""

    cluster: TestCluster
    frontend: Frontend
    prometheus: LivePrometheus
    folder: Path
    process: subprocess.Popen[bytes] | None = None
    mode: str = "Standalone"

    def start(self) -> None:
        settings = {
            "mode": self.mode,
            "namespaces": [NAMESPACE],
            "prometheus": {"url": self.prometheus.url, "scrapeIntervalSeconds": 1},
            "health": {"port": 0},
            "switch": {"namespace": NAMESPACE},
        }
        config = self.folder / "config.yaml"
        config.write_text(yaml.safe_dump(settings))
        environment = os.environ | {
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "DGDR_CONFIG": str(config),
        }
        with (self.folder / "planner.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dgdr_planner"], env=environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def log(self) -> str:
        return (self.folder / "planner.log").read_text()[-4000:]

    def apply(self, *manifests: dict[str, Any]) -> None:
        for manifest in manifests:
            self.cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(manifest))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        shown = self.cluster.kubectl(
            "get", kind, name, "-n", NAMESPACE, "-o", "json", "--show-managed-fields"
        )
        found: dict[str, Any] = json.loads(shown)
        return found

    def planner(self) -> dict[str, Any]:
        return self.get("slap", DGD_NAME)

    def replicas(self) -> tuple[int, int]:
        prefill = self.get("dgdsa", f"{DGD_NAME}-prefill")
        decode = self.get("dgdsa", f"{DGD_NAME}-decode")
        return prefill["spec"]["replicas"], decode["spec"]["replicas"]

    def replicas_of_prefill(self) -> int:
        return int(self.get("dgdsa", f"{DGD_NAME}-prefill")["spec"]["replicas"])

    def condition(self, type_: str) -> tuple[str, str]:
        for held in self.planner().get("status", {}).get("conditions", []):
            if held["type"] == type_:
                return held["status"], held["reason"]
        return "", ""

    def until(self, what: str, holds: Callable[[], bool], seconds: float = 45) -> None:
        try:
            until(holds, seconds, what)
        except AssertionError as exc:
            raise AssertionError(f"{exc}\n{self.planner()}\n{self.log()}") from exc


@contextmanager
def planner_stage(cluster: TestCluster, folder: Path) -> Iterator[Stage]:
    """A planner's process over a deployment without load; the namespace is gone afterwards."""
    frontend = Frontend()
    labels = {"namespace": NAMESPACE, "dynamo_namespace": DYNAMO_NAMESPACE, "pod": "frontend-a"}
    cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    cluster.kubectl("create", "namespace", NAMESPACE)
    with (
        served(frontend) as address,
        # An address that the API server reaches, too: it is in a network of its own.
        prometheus(
            folder, {address: labels}, scrape_interval_s=1.0, host=cluster.host_ip
        ) as server,
    ):
        on = Stage(cluster, frontend, server, folder)
        deployed = graph_deployment()
        on.apply(curves_config_map(), {k: v for k, v in deployed.items() if k != "status"})
        cluster.kubectl(
            "patch", "dgd", DGD_NAME, "-n", NAMESPACE, "--subresource=status", "--type=merge",
            "-p", json.dumps({"status": deployed["status"]}),
        )  # fmt: skip
        on.apply(adapter("prefill", 1), adapter("decode", 1))
        on.apply(sla_planner(interval="5s", behavior=QUICK))
        on.start()
        try:
            yield on
        finally:
            on.kill()
            cluster.kubectl("delete", "namespace", NAMESPACE, "--timeout=90s")
