"""``kubectl dgdr status`` against a real API server: few questions, also where nothing is there."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.cluster import TestCluster

pytestmark = pytest.mark.integration

CRDS = str(Path(__file__).resolve().parents[2] / "crds")
NAMESPACE = "cli"
REQUEST = """
apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeploymentRequest
metadata: {name: q}
spec: {model: m, backend: vllm, image: "registry.test/vllm-runtime:1"}
"""


@pytest.fixture(scope="module")
def request_there(light_cluster: TestCluster) -> TestCluster:
    light_cluster.kubectl("apply", "--server-side", "--force-conflicts", "--filename", CRDS)
    light_cluster.kubectl("wait", "--for=condition=Established", "--filename", CRDS)
    light_cluster.kubectl("create", "namespace", NAMESPACE)
    light_cluster.kubectl("apply", "--namespace", NAMESPACE, "--filename", "-", stdin=REQUEST)
    return light_cluster


@pytest.fixture
def questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question that the command line asks of the API server."""
    asked: list[str] = []
    ask = httpx.AsyncClient.request

    async def noted(self: httpx.AsyncClient, method: str, url: Any, **more: Any) -> httpx.Response:
        asked.append(f"{method} {url}")
        return await ask(self, method, url, **more)

    monkeypatch.setattr(httpx.AsyncClient, "request", noted)
    return asked


def test_what_is_missing_is_asked_for_once(
    request_there: TestCluster, questions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dgdr_cli.cluster import KubeSource

    monkeypatch.setenv("KUBECONFIG", str(request_there.kubeconfig))
    source = KubeSource()
    questions.clear()
    found = source.find("q", NAMESPACE)
    assert found is not None
    assert (found.deployment, found.planner, found.points) == (None, None, ())
    # The request, its deployment, its planner, the output, the first ConfigMap of points.
    assert len(questions) == 5, questions
    questions.clear()
    assert source.find("nobody", NAMESPACE) is None
    assert len(questions) == 1, questions


def test_status_lists_what_is_there(request_there: TestCluster) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dgdr_cli", "-n", NAMESPACE, "status"],
        env=os.environ | {"KUBECONFIG": str(request_there.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["REQUEST", "PHASE"],
        ["q", "Pending"],
    ]
