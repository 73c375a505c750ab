"""Load on a deployed graph: one pod of the profiler image that drives AIPerf."""

import json
from dataclasses import dataclass

from hack.demo.kube import Kube, Manifest, wait_for

PROFILER_IMAGE = "registry.test/dgdr/profiler:dev"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A constant load: offered at a rate, or so many requests in flight."""

    name: str
    url: str
    requests: int
    isl: int
    osl: int
    rate_per_s: float | None = None
    concurrency: int | None = None
    model: str = "model"
    tokenizer: str = "/model"


def render_load_pod(load: Load, namespace: str) -> Manifest:
    """A pod that drives the load once and prints the result as its last line."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": load.name, "namespace": namespace, "labels": {"app": "dgdr-load"}},
        "spec": {
            "restartPolicy": "Never",
            "containers": [
                {
                    "name": "load",
                    "image": PROFILER_IMAGE,
                    "imagePullPolicy": "IfNotPresent",
                    "command": ["python3", "-m", "dgdr_bench", "endpoint"],
                    "args": [
                        f"--url={load.url}",
                        f"--model={load.model}",
                        f"--tokenizer={load.tokenizer}",
                        f"--isl={load.isl}",
                        f"--osl={load.osl}",
                        _pace(load),
                        f"--requests={load.requests}",
                    ],
                    "env": [{"name": "HOME", "value": "/tmp"}],
                    "resources": {"requests": {"cpu": "300m", "memory": "512Mi"}},
                }
            ],
        },
    }


def _pace(load: Load) -> str:
    if load.rate_per_s is not None:
        return f"--request-rate={load.rate_per_s}"
    return f"--concurrency={load.concurrency}"


def start_load(kube: Kube, load: Load, namespace: str) -> None:
    """Start the load and return at once."""
    kube.run("delete", "pod", load.name, "--namespace", namespace, "--ignore-not-found")
    kube.apply(render_load_pod(load, namespace))


def load_running(kube: Kube, load: Load, namespace: str) -> bool:
    """Whether the load's pod has not ended yet."""
    pod = kube.get("pod", load.name, namespace) or {}
    return pod.get("status", {}).get("phase") in ("Pending", "Running")


def load_result(kube: Kube, load: Load, namespace: str, timeout_s: float = 300) -> Manifest:
    """Wait for the end of the load; return what AIPerf saw (sent, completed, percentiles)."""
    wait_for(
        f"end of load {load.name}",
        lambda: not load_running(kube, load, namespace),
        timeout_s=timeout_s,
    )
    last = kube.run("logs", load.name, "--namespace", namespace).strip().splitlines()[-1]
    result: Manifest = json.loads(last)
    return result
