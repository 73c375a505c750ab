"""Our client against a real API server: what the fake cluster only claims."""

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from kubernetes.aio.client import ApiClient, Configuration

from dgdr_kube.client import KubeCluster
from dgdr_kube.errors import AlreadyExists, Conflict, NotFound, Rejected, Unreachable
from dgdr_kube.kinds import CONFIG_MAP, DEPLOYMENT, EVENT, NAMESPACE, Kind
from dgdr_kube.manifests import ref
from dgdr_kube.ports import Event, Manifest

pytestmark = pytest.mark.integration

NS = "client-test"


@pytest_asyncio.fixture
async def cluster(kubeconfig: Path) -> AsyncIterator[KubeCluster]:
    client = await KubeCluster.connect(user_agent="dgdr-test", kubeconfig=str(kubeconfig))
    meta = {"name": NS}
    if await client.get(NAMESPACE, None, NS) is None:
        await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}, "test")
    yield client
    await client.close()


def config_map(name: str, **data: str) -> Manifest:
    meta = {"name": name, "namespace": NS, "labels": {"app": "client-test"}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def deployment(name: str, replicas: int | None) -> Manifest:
    pod = {"containers": [{"name": "main", "image": "x:1"}]}
    spec: Manifest = {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
    }
    if replicas is not None:
        spec["replicas"] = replicas
    meta = {"name": name, "namespace": NS}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


async def test_no_key_of_a_kubeconfig_stays_in_a_file(
    kubeconfig: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for _ in range(2):
        client = await KubeCluster.connect(user_agent="dgdr-test", kubeconfig=str(kubeconfig))
        assert os.listdir(tmp_path) == []
        assert await client.get(NAMESPACE, None, "default") is not None
        await client.close()


async def test_create_get_list_delete(cluster: KubeCluster) -> None:
    created = await cluster.create(config_map("a", x="1"), "one")
    with pytest.raises(AlreadyExists):
        await cluster.create(config_map("a"), "one")
    assert (await cluster.get(CONFIG_MAP, NS, "a") or {})["data"] == {"x": "1"}
    listed = await cluster.list(CONFIG_MAP, NS, {"app": "client-test"})
    assert [item["kind"] for item in listed] == ["ConfigMap"]
    assert not await cluster.delete(CONFIG_MAP, NS, "a", uid="another")
    assert await cluster.delete(CONFIG_MAP, NS, "a", uid=created["metadata"]["uid"])
    assert not await cluster.delete(CONFIG_MAP, NS, "a")
    assert await cluster.get(CONFIG_MAP, NS, "a") is None


async def test_a_stale_version_is_a_conflict(cluster: KubeCluster) -> None:
    created = await cluster.create(config_map("b"), "one")
    version = created["metadata"]["resourceVersion"]
    await cluster.patch(CONFIG_MAP, NS, "b", {"data": {"x": "1"}}, "one", version)
    with pytest.raises(Conflict):
        await cluster.patch(CONFIG_MAP, NS, "b", {"data": {"x": "2"}}, "one", version)
    with pytest.raises(NotFound):
        await cluster.patch(CONFIG_MAP, NS, "none", {"data": {}}, "one")


async def test_apply_owns_what_it_names_and_drops_what_it_leaves_out(cluster: KubeCluster) -> None:
    await cluster.apply(config_map("c", x="1", y="1"), "one")
    with pytest.raises(Conflict):
        await cluster.apply(config_map("c", x="2"), "two", force=False)
    await cluster.apply(config_map("c", x="2"), "two")
    after = await cluster.apply(config_map("c"), "one")
    assert after["data"] == {"x": "2"}


async def test_replicas_of_the_creator_survive_applies_without_them(cluster: KubeCluster) -> None:
    await cluster.create(deployment("d", 2), "dgdr-init")
    await cluster.apply(deployment("d", None), "dgdr-operator")
    await cluster.scale(DEPLOYMENT, NS, "d", 3, "dgdr-planner")
    after = await cluster.apply(deployment("d", None), "dgdr-operator")
    assert after["spec"]["replicas"] == 3
    with pytest.raises(Conflict):
        await cluster.scale(DEPLOYMENT, NS, "d", 4, "dgdr-planner", resource_version="1")
    with pytest.raises(NotFound):
        await cluster.scale(DEPLOYMENT, NS, "none", 1, "dgdr-planner")


async def test_a_refusal_brings_the_servers_words(cluster: KubeCluster) -> None:
    with pytest.raises(Rejected, match="Invalid value") as caught:
        await cluster.create(config_map("Not_A_Name"), "one")
    assert caught.value.status == 422


async def test_a_kind_that_is_not_served_says_nothing_of_its_objects(cluster: KubeCluster) -> None:
    unknown = Kind("nowhere.test", "v1", "things", "Thing")
    with pytest.raises(Unreachable):
        await cluster.get(unknown, NS, "x")
    with pytest.raises(Unreachable):
        await cluster.list(unknown, NS)


async def test_equal_events_are_counted_and_single_ones_are_not(cluster: KubeCluster) -> None:
    about = ref(await cluster.create(config_map("e"), "one"))
    for _ in range(3):
        await cluster.emit(Event(about=about, reason="Again", message="m", reporter="test"))
        await cluster.emit(
            Event(about=about, reason="Once", message="m", reporter="test", once="first")
        )
    found = {e["reason"]: e for e in await cluster.list(EVENT, NS) if e["regarding"]["name"] == "e"}
    assert found["Again"]["series"]["count"] == 3
    assert "series" not in found["Once"]


async def test_a_lost_event_does_not_raise(cluster: KubeCluster) -> None:
    about = ref({**config_map("e"), "metadata": {"name": "e", "namespace": "no-such", "uid": "u"}})
    await cluster.emit(Event(about=about, reason="Lost", message="m"))


async def test_a_server_that_is_not_there_is_unreachable() -> None:
    nowhere = KubeCluster(ApiClient(Configuration(host="http://127.0.0.1:1")), instance="test")
    with pytest.raises(Unreachable):
        await nowhere.get(CONFIG_MAP, NS, "a")
    await nowhere.close()
