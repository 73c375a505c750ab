"""What demo and end-to-end tests stand on: a cluster with images, Prometheus and our chart."""

import json
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hack.cluster.guard import require_own_context
from hack.demo.kube import Kube, Manifest, condition, wait_for

ROOT = Path(__file__).resolve().parents[2]
SYSTEM_NAMESPACE = "dgdr-system"
RELEASE = "dgdr-operator"
PLATFORM_IMAGES = ("operator", "prometheus")
WORKLOAD_IMAGES = ("profiler", "dynamo-mocker")


def run_module(module: str, *args: str) -> str:
    """Run one of our own tools as a user would, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", module, *args], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    if done.returncode != 0:
        raise SystemExit(f"`python3 -m {module} {' '.join(args)}` failed; see above")
    return done.stdout


def install_prometheus(kube: Kube) -> None:
    """Run Prometheus with the scrape configuration that the chart ships."""
    kube.apply_file(ROOT / "hack/demo/prometheus.yaml")


def install_chart(kube: Kube, *extra: str) -> None:
    """Install or upgrade our chart with the images that were built here."""
    kube.helm(
        "upgrade", "--install", RELEASE, str(ROOT / "helm/dgdr-operator"),
        "--namespace", SYSTEM_NAMESPACE, "--create-namespace",
        "--values", str(ROOT / "hack/demo/values.yaml"), "--wait", "--timeout", "120s", *extra,
    )  # fmt: skip


def deployment_ready(kube: Kube, name: str, namespace: str) -> Callable[[], Manifest | None]:
    """Return a probe that yields the Deployment once all of its replicas are ready."""

    def probe() -> Manifest | None:
        found = kube.get("deployment", name, namespace)
        ready = condition(found, "Available").get("status") == "True"
        return found if ready else None

    return probe


def open_cluster(name: str) -> Kube:
    """Return the commands for a running cluster of ours; refuse any other context."""
    status = json.loads(run_module("hack.cluster", "status", "--json", "--name", name))
    kubeconfig = Path(status["kubeconfig"])
    require_own_context(kubeconfig)
    return Kube(bin_dir=Path(status["bin_dir"]), kubeconfig=kubeconfig)


def wait_for_prometheus(kube: Kube) -> None:
    """Wait until Prometheus answers, because a planner without metrics holds."""
    wait_for("Prometheus", deployment_ready(kube, "prometheus", "monitoring"), timeout_s=60)


def bring_up(
    cluster: str,
    say: Callable[[str], None] = print,
    owner: int | None = None,
    workloads: tuple[str, ...] = WORKLOAD_IMAGES,
) -> Kube:
    """Make everything that a DGDR needs; what exists already is kept.

    With ``owner`` the cluster ends with that process, whichever way it ends. ``workloads`` are the
    images that requests need.
    """
    say("cluster and images")
    owned = () if owner is None else ("--owner", str(owner))
    with ThreadPoolExecutor(1) as meanwhile:
        booting = meanwhile.submit(
            run_module, "hack.cluster", "up", "--tier", "full", "--name", cluster, *owned
        )
        run_module("hack.images", "build", *PLATFORM_IMAGES, *workloads)
        booting.result()
    load_images(cluster, PLATFORM_IMAGES)
    kube = open_cluster(cluster)
    say("Prometheus and chart")
    with ThreadPoolExecutor(1) as meanwhile:
        loading = meanwhile.submit(load_images, cluster, workloads)
        install_prometheus(kube)
        install_chart(kube)
        wait_for_prometheus(kube)
        loading.result()
    return kube


def load_images(cluster: str, images: tuple[str, ...]) -> None:
    """Bring built images to the cluster's node."""
    archives = run_module("hack.images", "path", *images).split()
    run_module("hack.cluster", "load", "--name", cluster, *archives)


def take_down(cluster: str) -> None:
    """Remove a cluster without a trace."""
    run_module("hack.cluster", "down", "--name", cluster)
