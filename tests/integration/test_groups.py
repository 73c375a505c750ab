"""Engines over several nodes on a real API server, with a stand-in for LeaderWorkerSet's CRD.

There is no controller behind it: what is seen is that the API server takes what we apply and that
a pass over what it gives back settles.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import Unreachable
from dgdr_kube.kinds import DEPLOYMENT, DGD, LEADER_WORKER_SET
from dgdr_kube.ports import Key, Manifest
from dgdr_kube.remembering import RememberingCluster
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import parse
from support.cluster import ROOT, TestCluster
from support.dgds import decode_worker, dgd, frontend
from support.leader_worker_set import stand_in

pytestmark = pytest.mark.integration

NS, KEY = "groups", Key("groups", "g")
SETTINGS = parse("images: {profiler: p}")
VLLM = {"command": ["python3", "-m", "dynamo.vllm"], "args": ["--data-parallel-size", "16"]}


@pytest.fixture(scope="module")
def prepared(light_cluster: TestCluster) -> TestCluster:
    light_cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    light_cluster.kubectl("apply", "-f", "-", stdin=json.dumps(stand_in()))
    light_cluster.kubectl("wait", "--for=condition=Established", "crd", "--all")
    light_cluster.kubectl("create", "namespace", NS)
    return light_cluster


@pytest.fixture
async def api(prepared: TestCluster) -> AsyncIterator[KubeCluster]:
    cluster = await KubeCluster.connect(user_agent="groups", kubeconfig=str(prepared.kubeconfig))
    yield cluster
    await cluster.close()


async def reconcile(api: KubeCluster) -> Manifest:
    """Run a pass, again while kinds as new as ours come up; return the graph after it."""
    for _ in range(40):
        try:
            await GraphPass(RememberingCluster(api, {}), SETTINGS)(KEY, datetime.now(UTC))
            break
        except Unreachable:
            await asyncio.sleep(0.5)
    return await api.get(DGD, *KEY) or {}


async def test_a_group_is_applied_scaled_and_removed(api: KubeCluster) -> None:
    wide = decode_worker(main=VLLM, multinode={"nodeCount": 2}, replicas=2)
    manifest = dgd(frontend(), wide)
    manifest["metadata"] = {"name": KEY.name, "namespace": NS}
    await api.create(manifest, "user")
    graph = await reconcile(api)
    assert "LeaderWorkerSet" not in graph["status"]["conditions"][0]["message"]
    group = await api.get(LEADER_WORKER_SET, NS, "g-decode-0") or {}
    assert (group["spec"]["replicas"], group["spec"]["leaderWorkerTemplate"]["size"]) == (2, 2)

    await reconcile(api)
    again = await api.get(LEADER_WORKER_SET, NS, "g-decode-0") or {}
    assert again["metadata"]["resourceVersion"] == group["metadata"]["resourceVersion"]

    one, two = graph["spec"]["components"]
    fewer = {"spec": {"components": [one, {**two, "replicas": 1}]}}
    await api.patch(DGD, *KEY, fewer, "user")
    await reconcile(api)
    scaled = await api.get(LEADER_WORKER_SET, NS, "g-decode-0") or {}
    assert scaled["spec"]["replicas"] == 1

    narrow = {key: value for key, value in two.items() if key != "multinode"}
    await api.patch(DGD, *KEY, {"spec": {"components": [one, narrow]}}, "user")
    await reconcile(api)
    assert await api.get(LEADER_WORKER_SET, NS, "g-decode-0") is None
    assert await api.get(DEPLOYMENT, NS, "g-decode") is not None
