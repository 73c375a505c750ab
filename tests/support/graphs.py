"""Graphs as their authors wrote them: read from files, waited for, asked."""

from collections.abc import Iterator
from pathlib import Path

import yaml

from dgdr_api.names import component_name
from hack.demo.kube import CommandFailed, Kube, Manifest, condition, wait_for

MODEL = "model"
FRONTEND = "Frontend"


def read_graphs(folder: Path, namespace: str) -> Iterator[Manifest]:
    """Yield the manifests of a folder's files, for a namespace."""
    for path in sorted(folder.glob("*.yaml")):
        for manifest in yaml.safe_load_all(path.read_text()):
            manifest["metadata"]["namespace"] = namespace
            yield manifest


def wait_until_ready(kube: Kube, graph: str, namespace: str, *, timeout_s: float) -> None:
    """Wait until a graph is Ready; what keeps it from that is in the error."""

    def ready() -> bool:
        told = condition(kube.get("dgd", graph, namespace), "Ready")
        if told.get("status") != "True":
            raise CommandFailed(told.get("message", "nothing is said yet"))
        return True

    wait_for(f"{graph} to be Ready", ready, timeout_s=timeout_s)


def first_answer(kube: Kube, graph: str, namespace: str) -> Manifest:
    """Return a graph's first answer; its frontend may be Ready before it has heard of workers."""
    return wait_for(
        f"an answer of {graph}", lambda: chat(kube, graph, namespace, tokens=8), timeout_s=30
    )


def chat(kube: Kube, graph: str, namespace: str, *, tokens: int) -> Manifest:
    """Ask a graph's frontend once, by way of the API server, and return its answer."""
    service = f"{component_name(graph, FRONTEND)}:8000"
    path = f"/api/v1/namespaces/{namespace}/services/{service}/proxy/v1/chat/completions"
    asked = {
        "model": MODEL,
        "max_tokens": tokens,
        "messages": [{"role": "user", "content": "Which GPUs are left?"}],
    }
    return kube.post(path, asked)
