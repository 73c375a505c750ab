"""Raw fields that nobody can carry out, against a real API server: each is named in a condition.

What a pass reads of a pod template is checked by us; the rest goes to the API server as it is, and
its answer must come out at the deployment, not in a log.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import Unreachable
from dgdr_kube.kinds import DGD
from dgdr_kube.ports import Key, Manifest
from dgdr_kube.remembering import RememberingCluster
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import parse
from support.cluster import ROOT, TestCluster
from support.dgds import dgd, entry

pytestmark = pytest.mark.integration

NS = "raw-fields"
PATIENCE_TRIES = 20
SETTINGS = parse("images: {profiler: p}")

# Where it is wrong, what is there, and a word by which a user finds it.
MAIN: tuple[tuple[str, Any, str], ...] = (
    ("env", [{"value": "x"}], "env[0].name"),
    ("env", [{"name": "A", "value": 1}], "env[0].value"),
    ("env", [{"name": "A", "valueFrom": "x"}], "valueFrom"),
    ("env", [{"name": "A=B", "value": "x"}], "env"),
    ("env", {"A": "x"}, "env"),
    ("command", "python3", "command"),
    ("args", [1], "args"),
    ("image", 5, "image"),
    ("imagePullPolicy", "Sometimes", "imagePullPolicy"),
    ("imagePullPolicy", ["Always"], "imagePullPolicy"),
    ("livenessProbe", 5, "livenessProbe"),
    ("livenessProbe", {"httpGet": "x"}, "livenessProbe"),
    ("readinessProbe", {"periodSeconds": "10s"}, "periodSeconds"),
    ("ports", [5], "ports"),
    ("ports", [{"containerPort": "http"}], "containerPort"),
    ("resources", {"limits": {"cpu": "lots"}}, "cpu"),
    ("resources", {"limits": {"nvidia.com/gpu": "two"}}, "nvidia.com/gpu"),
    ("resources", {"claims": ["x"]}, "claims"),
    ("securityContext", ["x"], "securityContext"),
    ("volumeMounts", [{"name": "v"}], "mountPath"),
    ("volumeMounts", [{"name": "No_Claim", "mountPath": "/x"}], "No_Claim"),
    ("lifecycle", {"preStop": 5}, "preStop"),
    ("tty", "yes", "tty"),
    ("stdin", 1, "stdin"),
    ("nonsense", {"a": 1}, ""),
)
POD: tuple[tuple[str, Any, str], ...] = (
    ("terminationGracePeriodSeconds", "30s", "terminationGracePeriodSeconds"),
    ("containers", ["x"], "containers"),
    ("containers", {"name": "main"}, "containers"),
    ("initContainers", ["x"], "initContainers"),
    ("initContainers", [{"image": "i"}], "initContainers"),
    ("nodeSelector", {"a": 1}, "nodeSelector"),
    ("nodeSelector", ["a"], "nodeSelector"),
    ("affinity", "near", "affinity"),
    ("tolerations", [1], "tolerations"),
    ("tolerations", [{"operator": 1}], "tolerations"),
    ("volumes", [{"name": "v", "emptyDir": "x"}], "emptyDir"),
    ("hostNetwork", "yes", "hostNetwork"),
    ("priority", "high", "priority"),
    ("dnsConfig", [1], "dnsConfig"),
    ("securityContext", {"fsGroup": "a"}, "fsGroup"),
    ("topologySpreadConstraints", {"a": 1}, "topologySpreadConstraints"),
    ("resourceClaims", ["x"], "resourceClaims"),
    ("serviceAccountName", 5, "serviceAccountName"),
    ("restartPolicy", "Never", "restartPolicy"),
)
CASES = [
    *((f"main-{i}", {"main": {key: value}}, word) for i, (key, value, word) in enumerate(MAIN)),
    *((f"pod-{i}", {"pod": {key: value}}, word) for i, (key, value, word) in enumerate(POD)),
]


@pytest.fixture(scope="module")
def prepared(light_cluster: TestCluster) -> TestCluster:
    light_cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    light_cluster.kubectl("create", "namespace", NS)
    return light_cluster


@pytest.fixture
async def api(prepared: TestCluster) -> AsyncIterator[KubeCluster]:
    cluster = await KubeCluster.connect(user_agent="raw", kubeconfig=str(prepared.kubeconfig))
    yield cluster
    await cluster.close()


async def outcome(api: KubeCluster, name: str, wrong: dict[str, Any]) -> Manifest:
    """Return the condition Ready of a deployment with that mistake after two passes."""
    manifest = dgd(entry("Frontend", "frontend", **wrong), entry("decode", "decode"))
    manifest["metadata"] = {"name": name, "namespace": NS}
    await api.create(manifest, "user")
    one_pass = GraphPass(RememberingCluster(api, {}), SETTINGS)
    for _ in range(PATIENCE_TRIES):
        try:
            await one_pass(Key(NS, name), datetime.now(UTC))
            break
        except Unreachable:  # kinds as new as ours have to come up first
            await asyncio.sleep(0.5)
    found: Manifest = await api.get(DGD, NS, name) or {}
    ready: Manifest = next(c for c in found["status"]["conditions"] if c["type"] == "Ready")
    return ready


async def test_every_field_that_cannot_be_carried_out_is_named(api: KubeCluster) -> None:
    """One by one a mistake is a condition; together they take the time of one cluster."""
    told = await asyncio.gather(
        *(outcome(api, name, wrong) for name, wrong, _ in CASES), return_exceptions=True
    )
    silent = {
        name: said
        for (name, _, word), said in zip(CASES, told, strict=True)
        if not isinstance(said, dict)
        or said["reason"] != "failed_to_reconcile_the_resources"
        or word not in said["message"]
    }
    assert silent == {}
