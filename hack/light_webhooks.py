"""The webhooks of the chart for a light cluster, which runs no pods: a process, called by its URL.

CRDs and webhook configurations are the chart's own; only the Service in them becomes the address at
which the API server finds this machine.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "helm/dgdr-operator"
NAMESPACE = "dgdr-system"
NAME = "dgdr-operator-webhooks"
ASKED = (
    "CustomResourceDefinition",
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
)

Kubectl = Callable[..., str]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("", 0))
        port: int = one.getsockname()[1]
        return port


@dataclass
class LightWebhooks:
    """Where the API server calls, and the processes that answer there.

    ``kubectl`` runs it on the cluster; ``settings`` are laid over the ``webhooks`` section.
    """

    kubectl: Kubectl
    kubeconfig: Path
    bin_dir: Path
    host: str
    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def install(self, *values: str) -> None:
        """Put the kinds, the webhooks and the empty Secret of the chart onto the cluster."""
        if NAMESPACE not in self.kubectl("get", "namespaces", "--output=name"):
            self.kubectl("create", "namespace", NAMESPACE)
        documents = [one for one in self._rendered(values) if self._is_wanted(one)]
        manifests = "---\n".join(json.dumps(self._by_url(one)) + "\n" for one in documents)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifests)
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")

    def start(self, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start one process; it logs into the folder."""
        number, port = len(self.processes), port or self.port
        config = self.folder / f"webhooks-{number}.yaml"
        own = {"hosts": [self.host], "port": port, "namespace": NAMESPACE, **self.settings}
        config.write_text(yaml.safe_dump({"webhooks": own, "health": {"port": free_port()}}))
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "DGDR_CONFIG": str(config),
        }
        with (self.folder / f"webhooks-{number}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dgdr_webhooks"],
                cwd=ROOT,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End all of them."""
        for process in self.processes:
            process.kill()
            process.wait()

    def log(self) -> str:
        """Return what they logged."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("webhooks-*.log")))

    def _rendered(self, values: Sequence[str]) -> list[dict[str, Any]]:
        done = subprocess.run(
            [
                *(str(self.bin_dir / "helm"), "template", "dgdr-operator", str(CHART)),
                *("--namespace", NAMESPACE, "--set", "global.imageRegistry=registry.test"),
                *("--kube-version", "1.34.4", *values),
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        return [one for one in yaml.safe_load_all(done.stdout) if one]

    @staticmethod
    def _is_wanted(document: dict[str, Any]) -> bool:
        return document["kind"] in ASKED or (
            document["kind"] == "Secret" and document["metadata"]["name"] == NAME
        )

    def _by_url(self, document: dict[str, Any]) -> dict[str, Any]:
        if document["kind"] == "CustomResourceDefinition":
            clients = [document["spec"]["conversion"].get("webhook")]
        else:
            clients = document.get("webhooks", [])
        for one in clients:
            if one is not None:
                path = one["clientConfig"]["service"]["path"]
                one["clientConfig"] = {"url": f"https://{self.host}:{self.port}{path}"}
        return document
