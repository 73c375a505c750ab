"""The fake must be right about what passes rely on, or their tests prove nothing."""

import pytest

from dgdr_kube.errors import AlreadyExists, Conflict, NotFound
from dgdr_kube.kinds import CONFIG_MAP, DGD, JOB
from dgdr_kube.ports import Manifest
from support.fake_cluster import FakeCluster, Killed


def dgd(replicas: int | None = None, **labels: str) -> Manifest:
    worker = {"name": "decode", "type": "decode"}
    if replicas is not None:
        worker["replicas"] = replicas  # type: ignore[assignment]
    return {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g", "namespace": "ns", "labels": dict(labels)},
        "spec": {"components": [{"name": "frontend", "type": "frontend"}, worker]},
    }


def config_map(name: str = "c", **data: str) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": "ns"},
        "data": dict(data),
    }


async def test_replicas_of_the_creator_survive_applies_that_leave_them_out() -> None:
    cluster = FakeCluster()
    await cluster.create(dgd(2), "dgdr-init")
    await cluster.apply(dgd(), "dgdr-operator")
    await cluster.apply(dgd(), "dgdr-operator")
    after = cluster.peek(DGD, "ns", "g")
    assert after is not None
    assert after["spec"]["components"][1]["replicas"] == 2


async def test_replicas_that_were_applied_and_left_out_are_gone() -> None:
    cluster = FakeCluster()
    await cluster.apply(dgd(2), "dgdr-operator")
    await cluster.apply(dgd(), "dgdr-operator")
    after = cluster.peek(DGD, "ns", "g")
    assert after is not None
    assert "replicas" not in after["spec"]["components"][1]


async def test_a_patch_takes_the_field_over() -> None:
    cluster = FakeCluster()
    await cluster.apply(config_map(a="1", b="1"), "one")
    await cluster.patch(CONFIG_MAP, "ns", "c", {"data": {"a": "2"}}, "two")
    assert cluster.managers(CONFIG_MAP, "ns", "c", "data", "a") == {"two"}
    assert cluster.managers(CONFIG_MAP, "ns", "c", "data", "b") == {"one"}
    await cluster.apply(config_map(b="1"), "one")
    after = cluster.peek(CONFIG_MAP, "ns", "c")
    assert after is not None
    assert after["data"] == {"a": "2", "b": "1"}


async def test_a_part_can_be_taken_away_altogether() -> None:
    cluster = FakeCluster()
    await cluster.create(config_map(a="1"), "m")
    await cluster.patch(CONFIG_MAP, "ns", "c", {"data": None}, "n")
    assert "data" not in (cluster.peek(CONFIG_MAP, "ns", "c") or {})
    assert cluster.managers(CONFIG_MAP, "ns", "c", "data") == set()


async def test_an_item_that_is_left_out_goes_as_a_whole() -> None:
    cluster = FakeCluster()
    for owner in ("first", "second", "first"):
        child = config_map()
        child["metadata"]["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": owner, "controller": True}
        ]
        after = await cluster.apply(child, "one")
        assert [o["uid"] for o in after["metadata"]["ownerReferences"]] == [owner]


async def test_an_equal_apply_is_no_write() -> None:
    cluster = FakeCluster()
    await cluster.apply(config_map(a="1"), "one")
    before = cluster.peek(CONFIG_MAP, "ns", "c")
    await cluster.apply(config_map(a="1"), "one")
    assert cluster.peek(CONFIG_MAP, "ns", "c") == before
    assert len(cluster.writes) == 1


async def test_without_force_a_conflict_names_the_owner() -> None:
    cluster = FakeCluster()
    await cluster.apply(config_map(a="1"), "one")
    with pytest.raises(Conflict, match="one"):
        await cluster.apply(config_map(a="2"), "two", force=False)


async def test_generation_rises_with_the_spec_and_not_with_the_status() -> None:
    cluster = FakeCluster()
    await cluster.create(dgd(1), "m")
    await cluster.patch_status(DGD, "ns", "g", {"state": "pending"}, "m")
    await cluster.patch(DGD, "ns", "g", {"metadata": {"labels": {"a": "b"}}}, "m")
    first = cluster.peek(DGD, "ns", "g")
    await cluster.patch(DGD, "ns", "g", {"spec": {"backendFramework": "vllm"}}, "m")
    second = cluster.peek(DGD, "ns", "g")
    assert first is not None
    assert second is not None
    assert first["metadata"]["generation"] == 1
    assert second["metadata"]["generation"] == 2
    assert second["status"] == {"state": "pending"}


async def test_status_cannot_be_written_through_the_object() -> None:
    cluster = FakeCluster()
    await cluster.create({**dgd(), "status": {"state": "successful"}}, "m")
    assert "status" not in (cluster.peek(DGD, "ns", "g") or {})


async def test_a_stale_version_is_a_conflict() -> None:
    cluster = FakeCluster()
    created = await cluster.create(config_map(), "m")
    version = created["metadata"]["resourceVersion"]
    await cluster.patch(CONFIG_MAP, "ns", "c", {"data": {"a": "1"}}, "m", version)
    with pytest.raises(Conflict):
        await cluster.patch(CONFIG_MAP, "ns", "c", {"data": {"a": "2"}}, "m", version)


async def test_dependents_go_with_their_last_owner() -> None:
    cluster = FakeCluster()
    owner = await cluster.create(config_map("owner"), "m")
    ref = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": owner["metadata"]["uid"],
    }
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [ref]
    await cluster.create(child, "m")
    assert await cluster.delete(CONFIG_MAP, "ns", "owner")
    assert cluster.everything() == {}
    assert not await cluster.delete(CONFIG_MAP, "ns", "owner")


async def test_a_finalizer_keeps_a_deleted_object() -> None:
    cluster = FakeCluster()
    held = config_map()
    held["metadata"]["finalizers"] = ["x/y"]
    cluster.seed(held)
    await cluster.delete(CONFIG_MAP, "ns", "c")
    assert (cluster.peek(CONFIG_MAP, "ns", "c") or {})["metadata"]["deletionTimestamp"]


async def test_errors_are_the_real_ones() -> None:
    cluster = FakeCluster()
    await cluster.create(config_map(), "m")
    with pytest.raises(AlreadyExists):
        await cluster.create(config_map(), "m")
    with pytest.raises(NotFound):
        await cluster.patch_status(JOB, "ns", "none", {}, "m")


async def test_it_kills_at_the_chosen_write() -> None:
    cluster = FakeCluster()
    cluster.kill_after_writes = 1
    await cluster.create(config_map("a"), "m")
    with pytest.raises(Killed):
        await cluster.create(config_map("b"), "m")
    assert list(cluster.everything()) == ["ConfigMap/ns/a"]
