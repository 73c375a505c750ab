"""``kubectl dgdr status`` against a real API server: few questions, also where nothing is there."""

import json
import os
import subprocess
import sys
from pathlib import Path

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
    # kubectl waits for storage that is still made; the command line would say so.
    light_cluster.kubectl("get", "--namespace", NAMESPACE, "dgdr,dgd,slaplanners")
    return light_cluster


# In a process of its own: the library's connections end with it.
COUNTED = """
import json, sys
import httpx
from dgdr_cli.cluster import KubeSource

asked, ask = [], httpx.AsyncClient.request

async def noted(self, method, url, **more):
    asked.append(f"{method} {url}")
    return await ask(self, method, url, **more)

httpx.AsyncClient.request = noted
source = KubeSource()
for name in sys.argv[2:]:
    asked.clear()
    found = source.find(name, sys.argv[1])
    rest = found and (found.deployment, found.planner, found.points) != (None, None, ())
    print(json.dumps({"found": found is not None, "rest": bool(rest), "asked": asked}))
"""


def test_what_is_missing_is_asked_for_once(request_there: TestCluster) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNTED, NAMESPACE, "q", "nobody"],
        env=os.environ | {"KUBECONFIG": str(request_there.kubeconfig)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    there, nobody = map(json.loads, done.stdout.splitlines())
    assert (there["found"], there["rest"]) == (True, False)
    # The request, its deployment, its planner, the output, the first ConfigMap of points.
    assert len(there["asked"]) == 5, there
    assert not nobody["found"]
    # In NVIDIA's group, and in ours.
    assert len(nobody["asked"]) == 2, nobody


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
