"""Graphs and adapters against a real API server, its controllers and its scheduler.

What only they can show: field ownership, defaulting, garbage collection, a full cluster.
"""

import asyncio
import copy
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_kube_config

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import ClusterError, Conflict
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDSA, ROLE, ROLE_BINDING, SERVICE, SERVICE_ACCOUNT
from dgdr_kube.ports import Key, Manifest
from dgdr_kube.remembering import RememberingCluster
from dgdr_operator.core.adapter import ReplicaCopy, render_copy
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import parse
from support.cluster import ROOT, TestCluster
from support.dgds import decode_worker, dgd, entry, frontend

pytestmark = pytest.mark.integration

SETTINGS = parse("images: {profiler: p}")
CHILDREN = (DEPLOYMENT, SERVICE, SERVICE_ACCOUNT, ROLE, ROLE_BINDING, DGDSA)
PATIENCE_S = 90.0
# A rollout writes into its Deployment at any moment; the work queue would try again as well.
TRIES = 10
# The garbage collector looks for new kinds every 30 s; ours are as new as the cluster.
COLLECTION_PATIENCE_S = 75.0


@pytest.fixture(scope="module")
def prepared(light_cluster: TestCluster) -> TestCluster:
    light_cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    light_cluster.add_gpu_nodes(2, gpus_per_node=8)
    return light_cluster


@dataclass(frozen=True)
class World:
    """A namespace of its own, and the passes that the operator would run in it."""

    api: KubeCluster
    namespace: str

    async def reconcile(self) -> None:
        """Run every pass once, as events would, and again what met another writer."""
        now, asked = datetime.now(UTC), RememberingCluster(self.api, {})
        for kind, one_pass in (
            (DGDSA, AdapterPass(asked, SETTINGS)),
            (DGD, GraphPass(asked, SETTINGS)),
        ):
            for manifest in await self.api.list(kind, self.namespace):
                key = Key(self.namespace, manifest["metadata"]["name"])
                for _ in range(TRIES):
                    with suppress(Conflict):
                        await one_pass(key, now)
                        break

    async def until(
        self, what: str, holds: Callable[[Manifest], bool], patience_s: float = PATIENCE_S
    ) -> Manifest:
        """Reconcile until the graph looks like that."""
        deadline = asyncio.get_running_loop().time() + patience_s
        while True:
            await self.reconcile()
            graph = await self.graph()
            if holds(graph):
                return graph
            assert asyncio.get_running_loop().time() < deadline, f"not {what}: {graph}"
            await asyncio.sleep(0.2)

    async def graph(self) -> Manifest:
        found = await self.api.get(DGD, self.namespace, "g")
        assert found is not None
        return found

    async def create(self, *components: dict[str, Any]) -> None:
        await self.api.create(self.manifest(*components), "dgdr-init")

    def manifest(self, *components: dict[str, Any]) -> Manifest:
        manifest = dgd(*components)
        manifest["metadata"]["namespace"] = self.namespace
        return manifest

    async def children(self) -> dict[str, Manifest]:
        return {
            f"{kind.kind}/{m['metadata']['name']}": m
            for kind in CHILDREN
            for m in await self.api.list(kind, self.namespace)
            if m["metadata"]["name"] != "default"
        }

    async def rolled_out(self) -> None:
        """Wait for the Deployment controller's last word: it comes after the pods are ready."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not all(map(is_rolled_out, await self.api.list(DEPLOYMENT, self.namespace))):
            assert asyncio.get_running_loop().time() < deadline, "Deployments still roll out"
            await asyncio.sleep(0.2)

    async def scale(self, component: str, replicas: int) -> None:
        await self.api.scale(DGDSA, self.namespace, f"g-{component}", replicas, "kubectl")


@pytest.fixture
async def world(prepared: TestCluster, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    namespace = request.node.name.replace("_", "-")[:50].strip("-")
    prepared.kubectl("create", "namespace", namespace)
    configuration = Configuration()
    await load_kube_config(  # type: ignore[no-untyped-call]
        str(prepared.kubeconfig), client_configuration=configuration
    )
    api = KubeCluster(ApiClient(configuration), instance="test")
    yield World(api, namespace)
    await api.close()
    prepared.kubectl("delete", "namespace", namespace, "--wait=false")


def is_successful(graph: Manifest) -> bool:
    status = graph.get("status") or {}
    current = status.get("observedGeneration") == graph["metadata"]["generation"]
    return current and status.get("state") == "successful"


def is_rolled_out(deployment: Manifest) -> bool:
    status = deployment.get("status") or {}
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    reasons = {c["type"]: c["reason"] for c in status.get("conditions", [])}
    return current and reasons.get("Progressing") == "NewReplicaSetAvailable"


def workers() -> tuple[dict[str, Any], ...]:
    prefill = entry("prefill", "prefill", main={"command": ["x"]}, scalingAdapter={}, replicas=1)
    return frontend(), prefill, decode_worker(scalingAdapter={}, replicas=1)


def without_replicas(*components: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return tuple({k: v for k, v in c.items() if k != "replicas"} for c in components)


def replicas(graph: Manifest) -> dict[str, int]:
    return {c["name"]: c["replicas"] for c in graph["spec"]["components"] if "replicas" in c}


async def test_a_settled_graph_is_not_written_again(world: World) -> None:
    await world.create(*workers())
    await world.until("successful", is_successful)
    await world.rolled_out()
    await world.reconcile()
    before = [await world.graph(), await world.children()]
    for _ in range(3):
        await world.reconcile()
    assert [await world.graph(), await world.children()] == before


async def test_applies_without_replicas_keep_an_adapters_number(world: World) -> None:
    await world.create(*workers())
    await world.until("successful", is_successful)
    await world.scale("decode", 3)
    await world.until("scaled", lambda g: replicas(g)["decode"] == 3 and is_successful(g))
    for edit in range(3):
        wanted = copy.deepcopy(without_replicas(*workers()))
        main = wanted[2]["podTemplate"]["spec"]["containers"][0]
        main["env"] = [{"name": "EDIT", "value": str(edit)}]
        await world.api.apply(world.manifest(*wanted), "dgdr-operator")
        await world.reconcile()
        assert replicas(await world.graph()) == {"prefill": 1, "decode": 3}
    owners = {
        entry["manager"]
        for entry in (await world.graph())["metadata"]["managedFields"]
        if "f:replicas"
        in entry["fieldsV1"]
        .get("f:spec", {})
        .get("f:components", {})
        .get('k:{"name":"decode"}', {})
    }
    assert owners == {"dgdr-scale"}


async def test_adapters_do_not_take_each_others_number_back(world: World) -> None:
    await world.create(*workers())
    await world.reconcile()
    for prefill, decode in ((2, 1), (2, 3), (1, 4), (3, 4)):
        await world.scale("prefill", prefill)
        await world.scale("decode", decode)
        await world.until(
            "scaled",
            lambda g, want=(prefill, decode): (  # type: ignore[misc]
                (replicas(g)["prefill"], replicas(g)["decode"]) == want
            ),
        )
    adapter = await world.api.get(DGDSA, world.namespace, "g-decode")
    assert adapter is not None
    assert adapter["status"]["lastScaleTime"]


async def test_a_component_that_loses_its_adapter_keeps_its_number(world: World) -> None:
    await world.create(*workers())
    await world.reconcile()
    await world.scale("decode", 3)
    await world.until("scaled", lambda g: replicas(g)["decode"] == 3)
    live = await world.graph()
    for component in live["spec"]["components"]:
        if component["name"] == "decode":
            del component["scalingAdapter"]
    await world.api.patch(DGD, world.namespace, "g", {"spec": live["spec"]}, "kubectl")
    await world.until("successful", is_successful)
    await world.scale("prefill", 2)
    graph = await world.until("scaled", lambda g: replicas(g)["prefill"] == 2)
    assert replicas(graph)["decode"] == 3
    assert "DynamoGraphDeploymentScalingAdapter/g-decode" not in await world.children()


async def test_a_copy_for_a_graph_that_is_gone_makes_no_graph(world: World) -> None:
    await world.create(*workers())
    seen = await world.graph()
    await world.api.delete(DGD, world.namespace, "g")
    with pytest.raises(ClusterError):
        await world.api.apply(render_copy(seen, ReplicaCopy(replicas={"decode": 3})), "dgdr-scale")
    assert await world.api.get(DGD, world.namespace, "g") is None


async def test_a_removed_component_is_pruned(world: World) -> None:
    await world.create(*workers())
    await world.until("successful", is_successful)
    spec = {"components": [frontend()]}
    await world.api.patch(DGD, world.namespace, "g", {"spec": spec}, "kubectl")
    await world.until("successful", is_successful)
    made = await world.children()
    assert [name for name in made if "prefill" in name or "decode" in name] == []
    assert "Deployment/g-frontend" in made


async def test_a_full_cluster_is_insufficient_capacity(world: World) -> None:
    gpus = {"resources": {"limits": {"nvidia.com/gpu": "64"}}}
    await world.create(frontend(), decode_worker(main=gpus))

    def is_refused_beside_a_frontend(graph: Manifest) -> bool:
        status = graph.get("status") or {}
        reasons = {one["type"]: one["reason"] for one in status.get("conditions") or ()}
        frontend_is_ready = status.get("components", {}).get("Frontend", {}).get("readyReplicas")
        # No node of the cluster has that many, which is told beside what the scheduler says.
        wanted = {
            "Ready": "insufficient_capacity",
            "Reconciling": "insufficient_capacity",
            "DataPlaneReady": "GpusNotAllocatable",
        }
        return reasons == wanted and frontend_is_ready == 1

    graph = await world.until("without capacity", is_refused_beside_a_frontend)
    assert "Insufficient nvidia.com/gpu" in graph["status"]["conditions"][0]["message"]
    assert graph["status"]["state"] == "pending"


async def test_a_graph_made_anew_at_once_gets_its_own_workloads(world: World) -> None:
    await world.create(*workers())
    await world.until("successful", is_successful)
    await world.api.delete(DGD, world.namespace, "g")
    await world.create(*workers())
    graph = await world.until("successful", is_successful, COLLECTION_PATIENCE_S)
    owners = {
        owner["uid"]
        for child in (await world.children()).values()
        for owner in child["metadata"]["ownerReferences"]
    }
    assert owners == {graph["metadata"]["uid"]}


async def test_a_manifest_that_the_api_server_refuses_is_reported(world: World) -> None:
    broken = decode_worker(main={"ports": [{"containerPort": 99999}]})
    await world.create(frontend(), broken)
    graph = await world.until("failed", lambda g: (g.get("status") or {}).get("state") == "failed")
    message = graph["status"]["conditions"][0]["message"]
    assert "decode: Deployment g-decode:" in message
    assert "Invalid value: 99999" in message
    assert "Deployment/g-frontend" in await world.children()


async def test_a_graph_becomes_successful_and_leaves_nothing(world: World) -> None:
    await world.create(*workers())
    graph = await world.until("successful", is_successful)
    assert graph["status"]["components"]["decode"]["readyReplicas"] == 1
    assert len(await world.children()) == 3 + 3 + 3 + 2
    await world.api.delete(DGD, world.namespace, "g")
    deadline = asyncio.get_running_loop().time() + COLLECTION_PATIENCE_S
    while left := await world.children():
        assert asyncio.get_running_loop().time() < deadline, left.keys()
        await asyncio.sleep(0.2)
