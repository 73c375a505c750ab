"""A write that comes after another leader's changes nothing: each carries its version."""

from typing import Any

import pytest

from dgdr_kube.errors import Conflict
from dgdr_kube.kinds import CONFIG_MAP, DEPLOYMENT, DGD, DGDR, DGDSA, JOB, Kind, kind_of
from dgdr_kube.ports import Key, Manifest
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.dgdr_pass import DgdrPass
from dgdr_operator.passes.graph_pass import GraphPass
from support.dgdr_world import KEY, NS, SETTINGS, T0, World
from support.dgds import decode_worker, dgd, frontend
from support.fake_cluster import FakeCluster


class Outrun(FakeCluster):
    """Somebody else writes each object of a kind in the moment before we do."""

    outrun: tuple[str, Kind] | None = None
    edits = False
    deletes = False
    times = 9

    def meddle(self, verb: str, kind: Kind, namespace: str | None, name: str) -> None:
        stored = self._objects.get((kind, namespace, name))
        if self.outrun == (verb, kind) and stored is not None and self.times > 0:
            self.times -= 1
            if self.deletes:
                self.drop(kind, namespace, name)
                return
            self._touch(stored.manifest)
            stored.manifest["metadata"]["generation"] += self.edits

    async def apply(self, manifest: Manifest, *rest: Any, **more: Any) -> Manifest:
        meta = manifest["metadata"]
        self.meddle("apply", kind_of(manifest), meta.get("namespace"), meta["name"])
        return await super().apply(manifest, *rest, **more)

    async def patch(self, kind: Kind, *rest: Any, **more: Any) -> Manifest:
        self.meddle("patch", kind, rest[0], rest[1])
        return await super().patch(kind, *rest, **more)

    async def patch_status(self, kind: Kind, *rest: Any, **more: Any) -> Manifest:
        self.meddle("patch_status", kind, rest[0], rest[1])
        return await super().patch_status(kind, *rest, **more)


GRAPH = Key("ns", "g")
ADAPTER = Key("ns", "g-decode")


async def graph_cluster() -> Outrun:
    cluster = Outrun(T0)
    await cluster.create(dgd(frontend(), decode_worker(replicas=1, scalingAdapter={})), "dgdr-init")
    return cluster


async def test_the_status_of_a_graph() -> None:
    cluster = await graph_cluster()
    cluster.outrun = ("patch_status", DGD)
    with pytest.raises(Conflict):
        await GraphPass(cluster, SETTINGS)(GRAPH, T0)
    assert "status" not in (cluster.peek(DGD, *GRAPH) or {})


async def test_a_workload_of_a_graph() -> None:
    cluster = await graph_cluster()
    await GraphPass(cluster, SETTINGS)(GRAPH, T0)
    await cluster.apply(dgd(frontend(), decode_worker(replicas=5, scalingAdapter={})), "dgdr-init")
    before = cluster.peek(DEPLOYMENT, "ns", "g-decode")
    assert before is not None
    cluster.outrun, cluster.edits = ("apply", DEPLOYMENT), True
    with pytest.raises(Conflict):
        await GraphPass(cluster, SETTINGS)(GRAPH, T0)
    after = cluster.peek(DEPLOYMENT, "ns", "g-decode")
    assert after is not None
    assert after["spec"] == before["spec"]


async def test_a_workload_whose_pods_come_and_go_is_written_all_the_same() -> None:
    cluster = await graph_cluster()
    await GraphPass(cluster, SETTINGS)(GRAPH, T0)
    other = decode_worker(replicas=5, scalingAdapter={})
    other["podTemplate"]["spec"]["containers"][0]["image"] = "other:1"
    await cluster.apply(dgd(frontend(), other), "dgdr-init")
    cluster.outrun, cluster.times = ("apply", DEPLOYMENT), 1
    await GraphPass(cluster, SETTINGS)(GRAPH, T0)
    after = cluster.peek(DEPLOYMENT, "ns", "g-decode") or {}
    assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "other:1"


async def adapted() -> Outrun:
    cluster = await graph_cluster()
    await GraphPass(cluster, SETTINGS)(GRAPH, T0)
    await cluster.scale(DGDSA, *ADAPTER, 4, "dgdr-planner")
    return cluster


async def test_the_number_of_replicas_in_a_graph() -> None:
    cluster = await adapted()
    cluster.outrun = ("apply", DGD)
    with pytest.raises(Conflict):
        await AdapterPass(cluster, SETTINGS)(ADAPTER, T0)
    components = (cluster.peek(DGD, *GRAPH) or {})["spec"]["components"]
    assert [c["replicas"] for c in components if c["name"] == "decode"] == [1]


async def test_a_graph_that_was_deleted_is_not_made_again_by_a_number() -> None:
    cluster = await adapted()
    cluster.outrun, cluster.deletes = ("apply", DGD), True
    with pytest.raises(Conflict):
        await AdapterPass(cluster, SETTINGS)(ADAPTER, T0)
    assert cluster.peek(DGD, *GRAPH) is None


async def test_a_graph_that_was_deleted_is_not_made_again_by_its_request() -> None:
    world = World()
    cluster = moved(world)
    world.cluster = cluster
    world.run = world.new_pass()
    cluster.outrun, cluster.deletes, cluster.times = ("apply", DGD), True, 1
    with pytest.raises(Conflict):
        await world.live()
    assert cluster.peek(DGD, NS, "q-dgd") is None


async def test_the_status_of_an_adapter() -> None:
    cluster = await adapted()
    cluster.outrun = ("patch_status", DGDSA)
    with pytest.raises(Conflict):
        await AdapterPass(cluster, SETTINGS)(ADAPTER, T0)
    assert "status" not in (cluster.peek(DGDSA, *ADAPTER) or {})


def moved(world: World) -> Outrun:
    """The same namespace, on a server where somebody else is quicker."""
    cluster = Outrun(T0)
    cluster.__dict__.update(world.cluster.__dict__)
    return cluster


async def test_the_status_of_a_request() -> None:
    cluster = moved(World())
    cluster.outrun = ("patch_status", DGDR)
    with pytest.raises(Conflict):
        await DgdrPass(cluster, SETTINGS)(KEY, T0)
    assert "status" not in (cluster.peek(DGDR, *KEY) or {})


async def test_what_the_job_is_told() -> None:
    cluster = moved(World())
    await DgdrPass(cluster, SETTINGS)(KEY, T0)
    await cluster.delete(JOB, NS, "profile-q")
    told = cluster.peek(CONFIG_MAP, NS, "profile-q")
    assert told is not None
    cluster.set_status(DGDR, NS, "q", {})
    cluster.outrun = ("apply", CONFIG_MAP)
    with pytest.raises(Conflict):
        await DgdrPass(cluster, SETTINGS)(KEY, T0)
    assert cluster.peek(JOB, NS, "profile-q") is None
