"""Where kinds are in each mode, and a cluster that has deployments in the older version only."""

from typing import Any

import pytest

from dgdr_kube.errors import Conflict, NotServed
from dgdr_kube.kinds import (
    BESIDE_DGDR,
    CONFIG_MAP,
    DGD,
    DGD_V1ALPHA1,
    DGDR,
    DGDSA,
    DGDSA_V1ALPHA1,
    Kind,
)
from dgdr_kube.manifests import owner_reference
from dgdr_kube.served import AS_NAMED, Mode, Served, borrowed, discovered, installed
from dgdr_kube.served_cluster import ServedCluster, merged, through
from support.fake_cluster import FakeCluster

MANAGER = "dgdr-planner"


class Api:
    def __init__(self, *kinds: Kind) -> None:
        self.kinds = kinds

    async def serves(self, kind: Kind) -> bool:
        return kind in self.kinds


def test_no_kind_has_two_owners() -> None:
    for mode in Mode:
        assert not set(installed(mode)) & set(borrowed(mode))
    assert DGDR not in installed(Mode.BESIDE)
    assert BESIDE_DGDR not in installed(Mode.STANDALONE)


@pytest.mark.parametrize("mode", [Mode.STANDALONE, Mode.TAKEOVER])
async def test_where_requests_are_of_nvidias_group_all_is_as_named(mode: Mode) -> None:
    assert await discovered(Api(), mode) == AS_NAMED


async def test_beside_the_newest_version_is_taken_that_is_served() -> None:
    both = await discovered(Api(DGD, DGD_V1ALPHA1, DGDSA), Mode.BESIDE)
    assert (both.of(DGDR), both.of(DGD), both.of(DGDSA)) == (BESIDE_DGDR, DGD, DGDSA)
    old = await discovered(Api(DGD_V1ALPHA1, DGDSA_V1ALPHA1), Mode.BESIDE)
    assert (old.of(DGD), old.of(DGDSA)) == (DGD_V1ALPHA1, DGDSA_V1ALPHA1)


async def test_a_release_without_adapters_is_no_obstacle() -> None:
    served = await discovered(Api(DGD_V1ALPHA1), Mode.BESIDE)
    assert served.of(DGD) == DGD_V1ALPHA1
    assert served.absent == {DGDSA}
    fake = FakeCluster()
    fake.refuse("get", DGDSA, NotServed("404 page not found"))
    cluster = ServedCluster(fake, served)  # type: ignore[arg-type]
    assert await cluster.get(DGDSA, "ns", "q-decode") is None


async def test_without_nvidias_operator_there_is_nothing_to_be_beside() -> None:
    with pytest.raises(NotServed, match="NVIDIA's operator has to be installed"):
        await discovered(Api(), Mode.BESIDE)


def old_graph() -> dict[str, Any]:
    return {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "q", "namespace": "ns", "annotations": {"team": "a"}},
        "spec": {
            "backendFramework": "vllm",
            "services": {
                "Frontend": {"componentType": "frontend", "replicas": 1},
                "Decode": {
                    "componentType": "worker",
                    "subComponentType": "decode",
                    "replicas": 1,
                    "resources": {"limits": {"gpu": "1"}},
                    "extraPodSpec": {"mainContainer": {"image": "x:1", "args": ["--model", "m"]}},
                    "ingress": {"enabled": False},
                },
            },
        },
    }


def old_cluster() -> tuple[FakeCluster, ServedCluster]:
    fake = FakeCluster()
    fake.admits_all = True
    fake.seed(old_graph())
    places = {DGD: DGD_V1ALPHA1, DGDSA: DGDSA_V1ALPHA1, DGDR: BESIDE_DGDR}
    return fake, ServedCluster(fake, Served(places))  # type: ignore[arg-type]


async def test_an_old_graph_reads_as_the_version_that_the_programs_know() -> None:
    _, cluster = old_cluster()
    found = await cluster.get(DGD, "ns", "q")
    assert found is not None
    assert found["apiVersion"] == "nvidia.com/v1beta1"
    assert [(c["name"], c["type"]) for c in found["spec"]["components"]] == [
        ("Decode", "decode"),
        ("Frontend", "frontend"),
    ]
    assert await cluster.list(DGD, "ns") == [found]


async def test_a_patch_of_replicas_changes_nothing_else_of_an_old_graph() -> None:
    fake, cluster = old_cluster()
    found = await cluster.get(DGD, "ns", "q")
    assert found is not None
    components = [
        {**c, "replicas": 3} if c["name"] == "Decode" else c for c in found["spec"]["components"]
    ]
    await cluster.patch(
        DGD,
        "ns",
        "q",
        {"spec": {"components": components}},
        MANAGER,
        found["metadata"]["resourceVersion"],
    )
    after = fake.peek(DGD_V1ALPHA1, "ns", "q")
    wanted = old_graph()
    wanted["spec"]["services"]["Decode"]["replicas"] = 3
    assert after["spec"] == wanted["spec"]
    assert after["metadata"]["annotations"] == {"team": "a"}
    live = await fake.get(DGD_V1ALPHA1, "ns", "q")
    assert live is not None
    (ours,) = (e for e in live["metadata"]["managedFields"] if e["manager"] == MANAGER)
    owned = ours["fieldsV1"]["f:spec"]["f:services"]["f:Decode"]
    assert list(owned) == ["f:replicas"]


async def test_a_patch_from_an_older_look_is_a_conflict() -> None:
    _, cluster = old_cluster()
    with pytest.raises(Conflict):
        await cluster.patch(DGD, "ns", "q", {"spec": {"components": []}}, MANAGER, "0")


async def test_what_the_programs_make_is_written_in_the_old_version() -> None:
    fake, cluster = old_cluster()
    made = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "r", "namespace": "ns"},
        "spec": {"components": [{"name": "decode", "type": "decode", "replicas": 2}]},
    }
    answer = await cluster.create(made, MANAGER)
    assert answer["spec"] == made["spec"]
    there = fake.peek(DGD_V1ALPHA1, "ns", "r")
    assert there["spec"]["services"]["decode"]["subComponentType"] == "decode"


async def test_what_belongs_to_an_old_graph_names_the_version_that_is_served() -> None:
    fake, cluster = old_cluster()
    found = await cluster.get(DGD, "ns", "q")
    assert found is not None
    meta = {"name": "curves", "namespace": "ns", "ownerReferences": [owner_reference(found)]}
    await cluster.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}, MANAGER)
    (owner,) = fake.peek(CONFIG_MAP, "ns", "curves")["metadata"]["ownerReferences"]
    assert owner["apiVersion"] == "nvidia.com/v1alpha1"


async def test_a_request_keeps_the_group_that_it_is_of() -> None:
    fake, cluster = old_cluster()
    fake.seed(
        {
            "apiVersion": "dgdr.dev/v1beta1",
            "kind": "DynamoGraphDeploymentRequest",
            "metadata": {"name": "r", "namespace": "ns"},
            "spec": {"model": "m"},
        }
    )
    found = await cluster.get(DGDR, "ns", "r")
    assert found is not None
    assert found["apiVersion"] == "dgdr.dev/v1beta1"


def test_where_all_is_as_named_nothing_stands_between() -> None:
    fake = FakeCluster()
    assert through(fake, AS_NAMED) is fake  # type: ignore[arg-type, comparison-overlap]


def test_a_merge_patch_takes_out_what_is_null() -> None:
    assert merged({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": None}, "d": [2]}) == {
        "a": {"c": 2},
        "d": [2],
    }
