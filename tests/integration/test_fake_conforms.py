"""The cluster in memory and a real API server, asked the same: they answer the same.

What unit tests and the fault campaign prove rests on it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import ClusterError, Rejected
from dgdr_kube.kinds import CONFIG_MAP, DEPLOYMENT, DGD, DGDR, DGDSA
from dgdr_kube.manifests import covers, owner_reference
from dgdr_kube.ports import Cluster, Manifest
from support.cluster import ROOT, TestCluster
from support.dgdr_world import dgdr, generated_dgd
from support.fake_cluster import FakeCluster
from support.fake_watches import FakeWatches

pytestmark = pytest.mark.integration

NS = "conforms"
Case = Callable[[Cluster], Awaitable[Any]]


@pytest.fixture(scope="module")
def installed(light_cluster: TestCluster) -> Iterator[TestCluster]:
    light_cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
    light_cluster.kubectl("create", "namespace", NS)
    yield light_cluster
    light_cluster.kubectl("delete", "namespace", NS, "--wait=false")


@pytest.fixture
async def real(installed: TestCluster) -> AsyncIterator[KubeCluster]:
    cluster = await KubeCluster.connect(user_agent="conforms", kubeconfig=str(installed.kubeconfig))
    yield cluster
    await cluster.close()


def named(manifest: Manifest, name: str, **meta: Any) -> Manifest:
    return {**manifest, "metadata": {**manifest["metadata"], "name": name, "namespace": NS, **meta}}


def config_map(name: str, data: dict[str, str] | None = None, **meta: Any) -> Manifest:
    base = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}, "data": data or {"a": "1"}}
    return named(base, name, **meta)


def deployment(name: str) -> Manifest:
    labels = {"app": name}
    probe = {"httpGet": {"path": "/", "port": 80}}
    main = {
        "name": "main",
        "image": "x:1",
        "ports": [{"containerPort": 80}],
        "readinessProbe": probe,
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [main]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, "replicas": 0}
    return named(
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {}, "spec": spec}, name
    )


def adapter(name: str) -> Manifest:
    return named(
        {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentScalingAdapter",
            "metadata": {},
            "spec": {"replicas": 1, "dgdRef": {"name": "g", "serviceName": "decode"}},
        },
        name,
    )


async def outcome(call: Awaitable[Any]) -> Any:
    """What a caller can tell: the kind of error, or what ``call`` returns."""
    try:
        return await call
    except Rejected as exc:
        return "Rejected", exc.status
    except ClusterError as exc:
        return type(exc).__name__


def version(manifest: Manifest) -> str:
    return str(manifest["metadata"]["resourceVersion"])


async def create_twice(cluster: Cluster) -> Any:
    await cluster.create(config_map("twice"), "m")
    return await outcome(cluster.create(config_map("twice"), "m"))


async def stale_patch(cluster: Cluster) -> Any:
    first = await cluster.create(config_map("stale-patch"), "m")
    await cluster.patch(CONFIG_MAP, NS, "stale-patch", {"data": {"a": "2"}}, "m")
    again = cluster.patch(CONFIG_MAP, NS, "stale-patch", {"data": {"a": "3"}}, "m", version(first))
    return await outcome(again)


async def stale_apply(cluster: Cluster) -> Any:
    first = await cluster.apply(config_map("stale-apply"), "m")
    await cluster.patch(CONFIG_MAP, NS, "stale-apply", {"data": {"b": "2"}}, "n")
    wanted = config_map("stale-apply", {"a": "3"})
    return await outcome(cluster.apply(wanted, "m", resource_version=version(first)))


async def apply_with_the_version_of_what_is_gone(cluster: Cluster) -> Any:
    first = await cluster.create(config_map("gone"), "m")
    await cluster.delete(CONFIG_MAP, NS, "gone")
    again = await cluster.apply(config_map("gone"), "m", resource_version=version(first))
    return again["metadata"]["uid"] != first["metadata"]["uid"]


async def apply_with_the_uid_of_what_is_gone(cluster: Cluster) -> Any:
    first = await cluster.create(config_map("gone-uid"), "m")
    await cluster.delete(CONFIG_MAP, NS, "gone-uid")
    wanted = config_map("gone-uid", uid=first["metadata"]["uid"])
    gone = await outcome(cluster.apply(wanted, "m"))
    await cluster.create(config_map("gone-uid"), "m")
    return gone, await outcome(cluster.apply(wanted, "m"))


async def apply_with_its_own_uid(cluster: Cluster) -> Any:
    first = await cluster.create(config_map("own-uid"), "m")
    wanted = config_map("own-uid", {"a": "2"}, uid=first["metadata"]["uid"])
    return (await cluster.apply(wanted, "m", resource_version=version(first)))["data"]


async def apply_leaves_out(cluster: Cluster) -> Any:
    await cluster.apply(config_map("left-out", {"a": "1", "b": "1"}), "one")
    await cluster.patch(CONFIG_MAP, NS, "left-out", {"data": {"c": "2"}}, "two")
    after = await cluster.apply(config_map("left-out", {"b": "1"}), "one")
    return after["data"]


async def apply_against_another(cluster: Cluster) -> Any:
    await cluster.apply(config_map("contested"), "one")
    return await outcome(cluster.apply(config_map("contested", {"a": "2"}), "two", force=False))


async def delete_by_uid(cluster: Cluster) -> Any:
    made = await cluster.create(config_map("by-uid"), "m")
    delete = cluster.delete
    return [
        await delete(CONFIG_MAP, NS, "by-uid", "00000000-0000-0000-0000-000000000000"),
        await delete(CONFIG_MAP, NS, "by-uid", made["metadata"]["uid"]),
        await delete(CONFIG_MAP, NS, "by-uid"),
    ]


async def write_to_nothing(cluster: Cluster) -> Any:
    return [
        await outcome(cluster.patch(CONFIG_MAP, NS, "nothing", {"data": {}}, "m")),
        await outcome(cluster.patch_status(DGD, NS, "nothing", {"state": "failed"}, "m")),
        await outcome(cluster.scale(DGDSA, NS, "nothing", 1, "m")),
        await outcome(cluster.get(DGD, NS, "nothing")),
    ]


async def invalid(cluster: Cluster) -> Any:
    wrong = [
        named(dgdr(backend="wheel"), "wrong-enum"),
        named(dgdr(sla={"ttft": "soon"}), "wrong-type"),
        named({**dgdr(), "spec": {"image": "x"}}, "no-model"),
        config_map("Capital"),
        config_map("label", labels={"a": "b" * 64}),
        named(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {},
                "spec": {"ports": [{"port": 1}]},
            },
            "1digit",
        ),
        config_map("large", {"a": "x" * (2**20 + 1)}),
        config_map("too-large", {"a": "x" * (3 * 2**20 + 1)}),
    ]
    return [await outcome(cluster.create(one, "m")) for one in wrong]


async def unknown_fields(cluster: Cluster) -> Any:
    made = await cluster.create(named(dgdr(modle="x"), "unknown"), "m")
    return made["spec"], made.get("status")


async def status_apart(cluster: Cluster) -> Any:
    made = await cluster.create(
        named({**generated_dgd(), "status": {"state": "successful"}}, "apart"), "m"
    )
    before = made["metadata"]["generation"], made.get("status")
    after = await cluster.patch_status(DGD, NS, "apart", {"state": "pending"}, "m")
    edited = await cluster.patch(DGD, NS, "apart", {"spec": {"backendFramework": "vllm"}}, "m")
    return before, after["metadata"]["generation"], edited["metadata"]["generation"]


async def wrong_status(cluster: Cluster) -> Any:
    await cluster.create(named(generated_dgd(), "wrong-status"), "m")
    return await outcome(cluster.patch_status(DGD, NS, "wrong-status", {"state": 5}, "m"))


async def locked(cluster: Cluster) -> Any:
    found = []
    for phase, spec in (
        ("Pending", {"model": "other/a"}),
        ("Profiling", {"model": "other/b"}),
        ("Ready", {"autoApply": True}),
        ("Deployed", {"autoApply": False}),
    ):
        name = f"locked-{phase.lower()}"
        await cluster.create(named(dgdr(autoApply=False), name), "m")
        await cluster.patch_status(DGDR, NS, name, {"phase": phase}, "m")
        edited = await outcome(cluster.patch(DGDR, NS, name, {"spec": spec}, "m"))
        found.append(edited if isinstance(edited, tuple | str) else "edited")
    return found


async def held_by_a_finalizer(cluster: Cluster) -> Any:
    await cluster.create(config_map("held", finalizers=["a.test/hold"]), "m")
    await cluster.delete(CONFIG_MAP, NS, "held")
    there = await cluster.get(CONFIG_MAP, NS, "held")
    again = await outcome(cluster.create(config_map("held"), "m"))
    await cluster.patch(CONFIG_MAP, NS, "held", {"metadata": {"finalizers": None}}, "m")
    gone = await cluster.get(CONFIG_MAP, NS, "held")
    return "deletionTimestamp" in (there or {})["metadata"], again, gone


async def two_controllers(cluster: Cluster) -> Any:
    owners = [await cluster.create(config_map(f"owner-{n}"), "m") for n in "ab"]
    first, other = (owner_reference(owner) for owner in owners)
    await cluster.apply(config_map("owned", ownerReferences=[first]), "m")
    both = config_map("both", ownerReferences=[first, other])
    return [
        await outcome(cluster.apply(config_map("owned", ownerReferences=[other]), "n")),
        await outcome(cluster.create(both, "n")),
    ]


async def another_owner(cluster: Cluster) -> Any:
    """A child whose owner was made again under its name, applied for the one before."""
    owners = [await cluster.create(config_map(f"owner-{n}"), "m") for n in "cd"]
    first, other = (owner_reference(owner) for owner in owners)
    await cluster.apply(config_map("child", ownerReferences=[other]), "m")
    after = await cluster.apply(config_map("child", ownerReferences=[first]), "m")
    (owner,) = after["metadata"]["ownerReferences"]
    return {**owner, "uid": owner["uid"] == first["uid"]}


async def items_left_out(cluster: Cluster) -> Any:
    """Items of keyed lists, one of them held by somebody else in part."""
    made = deployment("items")
    main = made["spec"]["template"]["spec"]["containers"][0]
    variables = [{"name": name, "value": "1"} for name in "abc"]
    main["env"] = variables
    await cluster.apply(made, "m")
    main["env"] = [{"name": "b", "value": "2"}]
    del main["image"], main["ports"], main["readinessProbe"]
    await cluster.apply(made, "other")
    main |= {"image": "x:1", "env": variables[2:]}
    after = await cluster.apply(made, "m")
    return after["spec"]["template"]["spec"]["containers"][0]["env"]


async def immutable(cluster: Cluster) -> Any:
    await cluster.create(deployment("immutable"), "m")
    patch = {"spec": {"selector": {"matchLabels": {"app": "other"}}}}
    return await outcome(cluster.patch(DEPLOYMENT, NS, "immutable", patch, "m"))


async def scaled(cluster: Cluster) -> Any:
    first = await cluster.create(adapter("scaled"), "m")
    await cluster.scale(DGDSA, NS, "scaled", 3, "planner", version(first))
    stale = await outcome(cluster.scale(DGDSA, NS, "scaled", 4, "planner", version(first)))
    there = await cluster.get(DGDSA, NS, "scaled")
    return stale, (there or {})["spec"]["replicas"]


async def owners_of_replicas(cluster: Cluster) -> Any:
    whole = named(generated_dgd(), "owners")
    components = [
        {k: v for k, v in c.items() if k != "replicas"} for c in whole["spec"]["components"]
    ]
    await cluster.create(whole, "dgdr-init")
    await cluster.apply({**whole, "spec": {"components": components}}, "dgdr-operator")
    mine = [{"name": "decode", "type": "decode", "replicas": 4}]
    after = await cluster.apply({**whole, "spec": {"components": mine}}, "dgdr-scale")
    entries = after["metadata"]["managedFields"]
    key = 'k:{"name":"%s"}'
    return {
        name: sorted(
            (entry["manager"], entry["operation"])
            for entry in entries
            if "f:replicas"
            in entry["fieldsV1"].get("f:spec", {}).get("f:components", {}).get(key % name, {})
        )
        for name in ("frontend", "prefill", "decode")
    }


CASES: list[Case] = [
    create_twice,
    stale_patch,
    stale_apply,
    apply_with_the_version_of_what_is_gone,
    apply_with_the_uid_of_what_is_gone,
    apply_with_its_own_uid,
    apply_leaves_out,
    apply_against_another,
    delete_by_uid,
    write_to_nothing,
    invalid,
    unknown_fields,
    status_apart,
    wrong_status,
    locked,
    held_by_a_finalizer,
    two_controllers,
    another_owner,
    items_left_out,
    immutable,
    scaled,
    owners_of_replicas,
]


# aiohttp says so of bodies of a megabyte; ours are no larger than that but here.
@pytest.mark.filterwarnings("ignore:Sending a large body")
@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.__name__))
async def test_both_answer_the_same(real: KubeCluster, case: Case) -> None:
    assert await case(FakeCluster()) == await case(real)


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(deployment("filled-in"), id="Deployment"),
        pytest.param(
            named(
                {
                    "apiVersion": "v1",
                    "kind": "Service",
                    "metadata": {},
                    "spec": {"ports": [{"port": 80, "name": "http"}], "selector": {"a": "b"}},
                },
                "filled-in",
            ),
            id="Service",
        ),
    ],
)
async def test_what_one_fills_in_the_other_does(real: KubeCluster, manifest: Manifest) -> None:
    ours = await FakeCluster().create(manifest, "m")
    theirs = await real.create(manifest, "m")
    wanted = {k: v for k, v in ours["spec"].items() if k != "clusterIP"}
    assert covers(theirs["spec"], wanted)


async def test_a_watch_tells_of_what_no_longer_fits_as_gone(real: KubeCluster) -> None:
    fake = FakeCluster()
    told = [
        await told_of(cluster, watching)
        for cluster, watching in ((fake, FakeWatches(fake)), (real, real))
    ]
    assert told[0] == told[1]


async def told_of(cluster: Any, watching: Any) -> list[tuple[str, str]]:
    listing = await watching.listing(CONFIG_MAP, NS, "watched", kept=lambda one: one)
    heard: list[tuple[str, str]] = []

    async def hear() -> None:
        async with watching.watch(CONFIG_MAP, NS, listing.version, "watched") as changes:
            async for change in changes:
                heard.append((str(change.type), change.manifest["metadata"]["name"]))

    hearing = asyncio.create_task(hear())
    await cluster.create(config_map("watched", labels={"watched": "yes"}), "m")
    await cluster.create(config_map("unwatched"), "m")
    await cluster.patch(CONFIG_MAP, NS, "watched", {"data": {"a": "2"}}, "m")
    await cluster.patch(CONFIG_MAP, NS, "watched", {"metadata": {"labels": None}}, "m")
    await cluster.delete(CONFIG_MAP, NS, "watched")
    await asyncio.sleep(1.0)
    hearing.cancel()
    return heard
