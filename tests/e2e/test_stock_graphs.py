"""Deployments as upstream's examples write them, in both versions: ready, and asked once.

Shapes: aggregated, a pair, and a router over two workers. Those over several nodes are in
tests/integration/test_groups.py.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hack.demo.kube import Kube
from support.graphs import first_answer, read_graphs, wait_until_ready

pytestmark = pytest.mark.e2e

NAMESPACE = "dgdr-graphs"
MANIFESTS = tuple(read_graphs(Path(__file__).parent / "graphs", NAMESPACE))
GRAPHS = tuple(manifest["metadata"]["name"] for manifest in MANIFESTS)
WORKERS = {"agg": ["decode"], "disagg": ["decode", "prefill"], "router": ["vllmdecodeworker"] * 2}


@pytest.fixture(scope="module")
def ready_after_s(kube: Kube) -> Iterator[dict[str, float]]:
    """All of them, applied at once, and when each was seen to be Ready."""
    # What other files have left would hold the CPU that sixteen pods start on.
    kube.run("delete", "dgdr,dgd", "--all", "--all-namespaces")
    kube.run("create", "namespace", NAMESPACE)
    began = time.monotonic()
    kube.apply_all(MANIFESTS)
    found = {}
    for graph in GRAPHS:
        wait_until_ready(kube, graph, NAMESPACE, timeout_s=240)
        found[graph] = round(time.monotonic() - began, 1)
    yield found
    kube.run("delete", "namespace", NAMESPACE, "--wait=false")


def test_each_shape_becomes_ready_in_both_versions(
    ready_after_s: dict[str, float], figures: Callable[..., None]
) -> None:
    figures(ready_after_s=ready_after_s)
    assert set(ready_after_s) == {
        f"{shape}-{version}" for shape in WORKERS for version in ("alpha", "beta")
    }


@pytest.mark.usefixtures("ready_after_s")
@pytest.mark.parametrize("graph", GRAPHS)
def test_a_request_is_answered(kube: Kube, graph: str) -> None:
    answer = first_answer(kube, graph, NAMESPACE)
    assert answer["choices"][0]["message"]["content"]
    assert answer["usage"]["completion_tokens"] == 8


@pytest.mark.usefixtures("ready_after_s")
@pytest.mark.parametrize("graph", GRAPHS)
def test_both_versions_become_the_same_pods(kube: Kube, graph: str) -> None:
    pods = kube.list("pods", NAMESPACE, f"nvidia.com/dynamo-graph-deployment-name={graph}")
    named = sorted(pod["metadata"]["labels"]["nvidia.com/selector"] for pod in pods)
    parts = sorted(["frontend", *WORKERS[graph.partition("-")[0]]])
    assert named == [f"{graph}-{part}" for part in parts]
