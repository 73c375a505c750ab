"""Argo CD's controller, repository server and cache as plain processes beside a cluster."""

import json
import os
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hack.cluster import tools
from hack.cluster.paths import TOOLS_SOURCE
from hack.demo.kube import Kube, Manifest, wait_for

SHIPPED = Path(__file__).resolve().parents[2] / "helm/dgdr-operator/gitops/argocd"
NAMESPACE = "argocd"
RESYNC_S = 30
LABELS = {"app.kubernetes.io/part-of": "argocd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an Application's status says."""

    sync: str = ""
    health: str = ""
    revision: str = ""
    operation: str = ""
    message: str = ""
    resources: dict[str, str] = field(default_factory=dict)
    """Health of each object of Git, by kind/name; empty where it has none."""

    @property
    def settled(self) -> bool:
        return self.sync == "Synced" and self.operation == "Succeeded"


def seen(app: Manifest) -> Seen:
    """Read an Application's status; what is not there yet is empty."""
    status = app.get("status", {})
    operation = status.get("operationState", {})
    return Seen(
        sync=status.get("sync", {}).get("status", ""),
        health=status.get("health", {}).get("status", ""),
        revision=status.get("sync", {}).get("revision", ""),
        operation=operation.get("phase", ""),
        message=operation.get("message", ""),
        resources={
            f"{entry['kind']}/{entry['name']}": entry.get("health", {}).get("status", "")
            for entry in status.get("resources", [])
        },
    )


def shipped_application(name: str) -> Manifest:
    """An Application as the chart's folder shows it to users."""
    documents = yaml.safe_load_all((SHIPPED / "application.yaml").read_text())
    found: Manifest = next(one for one in documents if one["metadata"]["name"] == name)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoCD:
    """Commands against a running Argo CD."""

    kube: Kube
    metrics_port: int

    def apply(self, app: Manifest) -> None:
        self.kube.apply(app)

    def look(self, app: str) -> Seen:
        """Read an Application."""
        return seen(self.kube.get("application", app, NAMESPACE) or {})

    def refresh(self, app: str) -> None:
        """Let it look at Git at once, as a webhook of the Git server would."""
        self.kube.run(
            "annotate", "application", app, "--namespace", NAMESPACE, "--overwrite",
            "argocd.argoproj.io/refresh=normal",
        )  # fmt: skip

    def synced_to(self, app: str, commit: str, timeout_s: float = 60) -> Seen:
        """Refresh, and wait until the commit is what the cluster has."""
        self.refresh(app)

        def probe() -> Seen | None:
            now = self.look(app)
            return now if now.settled and now.revision == commit else None

        return wait_for(f"{app} at {commit[:7]}", probe, timeout_s=timeout_s)

    def forget(self, app: str) -> None:
        """Delete an Application and leave its objects."""
        self.kube.run("delete", "application", app, "--namespace", NAMESPACE)

    def reconciles(self) -> int:
        """How often it has compared an Application since it began."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            int(float(line.rpartition(" ")[2]))
            for line in lines
            if line.startswith("argocd_app_reconcile_count{")
        )


@contextmanager
def argocd(kube: Kube, folder: Path) -> Iterator[ArgoCD]:
    """Install Argo CD's kinds with our health scripts and run it until the end."""
    _install(kube)
    programs = tools.ensure(tools.ARGOCD)
    ports = {name: _free_port() for name in ("redis", "repo", "repo-metrics", "metrics")}
    redis, repo = f"127.0.0.1:{ports['redis']}", f"127.0.0.1:{ports['repo']}"
    commands: dict[str, list[str]] = {
        "redis": [str(programs / "redis"), redis],
        "repo-server": [
            str(programs / "argocd"), "--address", "127.0.0.1", "--port", str(ports["repo"]),
            "--metrics-address", "127.0.0.1", "--metrics-port", str(ports["repo-metrics"]),
            "--disable-tls", "--redis", redis,
        ],
        "application-controller": [
            str(programs / "argocd"), "--namespace", NAMESPACE, "--repo-server", repo,
            "--repo-server-plaintext", "--redis", redis, "--metrics-port", str(ports["metrics"]),
            "--app-resync", str(RESYNC_S), "--app-resync-jitter", "0", "--persist-resource-health",
            "--status-processors", "4", "--operation-processors", "2",
        ],
    }  # fmt: skip
    with ExitStack() as stack:
        for name, command in commands.items():
            stack.enter_context(_running(name, command, kube, folder))
        yield ArgoCD(kube=kube, metrics_port=ports["metrics"])


@contextmanager
def _running(name: str, command: list[str], kube: Kube, folder: Path) -> Iterator[None]:
    for needed in ("tls", "ssh", "gpg", "tmp", "home"):
        (folder / needed).mkdir(exist_ok=True)
    (folder / "ssh/ssh_known_hosts").touch()
    environment = {
        "ARGOCD_BINARY_NAME": f"argocd-{name}",
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_TLS_DATA_PATH": str(folder / "tls"),
        "ARGOCD_SSH_DATA_PATH": str(folder / "ssh"),
        "ARGOCD_GNUPGHOME": str(folder / "gpg"),
        "ARGOCD_ASK_PASS_SOCK": str(folder / "ask.sock"),
        "HOME": str(folder / "home"),
        "KUBECONFIG": str(kube.kubeconfig),
        "PATH": f"{kube.bin_dir}:{os.environ['PATH']}",
        "TMPDIR": str(folder / "tmp"),
    }
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        yield
        assert process.poll() is None, f"{name} ended by itself: see {folder / name}.log"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _install(kube: Kube) -> None:
    crds = _module_folder() / "manifests/crds"
    for name in ("application", "appproject"):
        kube.run("apply", "--server-side", "--filename", str(crds / f"{name}-crd.yaml"))
    kube.apply(
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _core("ConfigMap", "argocd-cm"),
        _core("ConfigMap", "argocd-rbac-cm"),
        _core("Secret", "argocd-secret", stringData={"server.secretkey": "of-a-test"}),
    )
    wait_for(
        "Argo CD's kinds",
        lambda: kube.run("wait", "--for=condition=Established", "crd/appprojects.argoproj.io"),
        timeout_s=30,
    )
    everything = [{"group": "*", "kind": "*"}]
    project = {
        "sourceRepos": ["*"],
        "destinations": [{"namespace": "*", "server": "*"}],
        "clusterResourceWhitelist": everything,
    }
    kube.apply(
        {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "AppProject",
            "metadata": {"name": "default", "namespace": NAMESPACE},
            "spec": project,
        }
    )
    kube.run(
        "patch", "configmap", "argocd-cm", "--namespace", NAMESPACE,
        "--patch-file", str(SHIPPED / "argocd-cm.yaml"),
    )  # fmt: skip


def _core(kind: str, name: str, **rest: Any) -> Manifest:
    labels = {**LABELS, "app.kubernetes.io/name": name}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **rest}


def _module_folder() -> Path:
    done = subprocess.run(
        ["go", "mod", "download", "-json", "github.com/argoproj/argo-cd/v3"],
        cwd=TOOLS_SOURCE / "argocd",
        env=os.environ | tools.GO_ENVIRONMENT,
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(json.loads(done.stdout)["Dir"])


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
