"""Passes over a scaling adapter against an in-memory API server."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_kube.errors import Conflict, Rejected
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDSA
from dgdr_kube.ports import Key
from dgdr_operator.passes.adapter_pass import LOOK_AGAIN_S, AdapterPass
from dgdr_operator.passes.graph_pass import GraphPass
from dgdr_operator.settings import parse
from support.dgds import decode_worker, dgd, entry, frontend
from support.fake_cluster import FakeCluster

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SETTINGS = parse("images: {profiler: p}")
DECODE = Key("ns", "g-decode")


def wanted() -> dict[str, Any]:
    prefill = entry("prefill", "prefill", replicas=1, scalingAdapter={})
    return dgd(frontend(), prefill, decode_worker(replicas=1, scalingAdapter={}))


def without_replicas() -> dict[str, Any]:
    manifest = wanted()
    for component in manifest["spec"]["components"]:
        component.pop("replicas", None)
    return manifest


@pytest.fixture
async def cluster() -> FakeCluster:
    fake = FakeCluster(NOW)
    await fake.create(wanted(), "dgdr-init")
    await GraphPass(fake, SETTINGS)(Key("ns", "g"), NOW)
    return fake


async def run(cluster: FakeCluster, key: Key = DECODE) -> float | None:
    return await AdapterPass(cluster, SETTINGS)(key, NOW)


async def scale(cluster: FakeCluster, component: str, replicas: int) -> None:
    await cluster.scale(DGDSA, "ns", f"g-{component}", replicas, "dgdr-planner")
    await run(cluster, Key("ns", f"g-{component}"))


def replicas(cluster: FakeCluster) -> dict[str, int]:
    components = (cluster.peek(DGD, "ns", "g") or {})["spec"]["components"]
    return {c["name"]: c["replicas"] for c in components if "replicas" in c}


def status(cluster: FakeCluster, name: str = "g-decode") -> Any:
    return (cluster.peek(DGDSA, "ns", name) or {}).get("status") or {}


def condition(cluster: FakeCluster, name: str = "g-decode") -> tuple[str, str, str]:
    (found,) = [c for c in status(cluster, name)["conditions"] if c["type"] == "Ready"]
    return found["status"], found["reason"], found["message"]


async def test_a_scaled_adapter_scales_the_graph_under_its_own_name(cluster: FakeCluster) -> None:
    await scale(cluster, "decode", 3)
    assert replicas(cluster)["decode"] == 3
    path = ("spec", "components", ("name", "decode"), "replicas")
    assert cluster.managers(DGD, "ns", "g", *path) == {"dgdr-scale"}
    assert [(e.reason, e.message) for e in cluster.events] == [
        ("Scaled", "Scaled decode from 1 to 3 replicas")
    ]
    assert status(cluster)["lastScaleTime"] == "2025-01-01T00:00:00Z"


async def test_applies_without_replicas_keep_the_number(cluster: FakeCluster) -> None:
    await scale(cluster, "decode", 3)
    for _ in range(3):
        await cluster.apply(without_replicas(), "dgdr-operator")
        await run(cluster)
        assert replicas(cluster)["decode"] == 3


async def test_two_adapters_do_not_take_each_others_number_back(cluster: FakeCluster) -> None:
    await scale(cluster, "decode", 3)
    await scale(cluster, "prefill", 2)
    await scale(cluster, "decode", 4)
    assert replicas(cluster) == {"prefill": 2, "decode": 4}


async def test_an_adapter_that_changed_nothing_writes_nothing(cluster: FakeCluster) -> None:
    await run(cluster)
    before = len(cluster.writes)
    await run(cluster)
    assert cluster.writes[before:] == []
    assert cluster.events == []


async def test_the_status_says_how_many_pods_there_are(cluster: FakeCluster) -> None:
    cluster.set_status(DEPLOYMENT, "ns", "g-decode", {"replicas": 2})
    await run(cluster)
    assert status(cluster)["replicas"] == 2
    assert status(cluster)["selector"] == (
        "nvidia.com/dynamo-graph-deployment-name=g,nvidia.com/dynamo-component=decode"
    )
    assert condition(cluster)[:2] == ("True", "Applied")


async def test_the_adapter_wins_over_an_edit_of_the_graph(cluster: FakeCluster) -> None:
    await scale(cluster, "decode", 3)
    edited = wanted()
    edited["spec"]["components"][2]["replicas"] = 8
    await cluster.apply(edited, "kubectl")
    await run(cluster)
    assert replicas(cluster)["decode"] == 3


async def test_another_writer_in_the_same_moment_means_try_again(cluster: FakeCluster) -> None:
    cluster.refuse("apply", DGD, Conflict("modified"))
    await cluster.scale(DGDSA, "ns", "g-decode", 3, "dgdr-planner")
    with pytest.raises(Conflict):  # the queue tries it again, ever later
        await run(cluster)
    assert cluster.events == []


async def test_a_refusal_is_shown(cluster: FakeCluster) -> None:
    cluster.refuse("apply", DGD, Rejected(422, "replicas: Invalid value"))
    await cluster.scale(DGDSA, "ns", "g-decode", 3, "dgdr-planner")
    assert await run(cluster) == LOOK_AGAIN_S
    (event,) = cluster.events
    text = "g was not scaled: replicas: Invalid value"
    assert (event.reason, event.message) == ("UpdateFailed", text)
    assert condition(cluster) == ("False", "UpdateFailed", text)


async def test_an_adapter_of_no_component_names_those_there_are(cluster: FakeCluster) -> None:
    own = cluster.peek(DGDSA, "ns", "g-decode") or {}
    own["metadata"]["name"] = "mine"
    own["spec"]["dgdRef"]["serviceName"] = "Decoder"
    cluster.seed(own)
    assert await run(cluster, Key("ns", "mine")) == LOOK_AGAIN_S
    (event,) = cluster.events
    assert event.message == "g has no component 'Decoder'; it has Frontend, prefill, decode"


async def test_an_adapter_waits_for_its_graph(cluster: FakeCluster) -> None:
    own = cluster.peek(DGDSA, "ns", "g-decode") or {}
    own["metadata"] = {"name": "early", "namespace": "ns"}
    own["spec"]["dgdRef"]["name"] = "later"
    cluster.seed(own)
    assert await run(cluster, Key("ns", "early")) == LOOK_AGAIN_S
    assert condition(cluster, "early")[1] == "TargetNotFound"
    assert await run(cluster, Key("ns", "none")) is None


async def test_an_adapter_that_cannot_be_read_says_so_and_holds_up_no_other(
    cluster: FakeCluster,
) -> None:
    broken = cluster.peek(DGDSA, "ns", "g-prefill") or {}
    broken["spec"]["replicas"] = "two"
    cluster.seed(broken)
    assert await run(cluster, Key("ns", "g-prefill")) == LOOK_AGAIN_S
    status, reason, message = condition(cluster, "g-prefill")
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith('spec.replicas: Invalid value: "two"')
    await scale(cluster, "decode", 3)
    assert replicas(cluster)["decode"] == 3


async def test_a_right_that_is_missing_is_told_on_the_adapter(cluster: FakeCluster) -> None:
    cluster.refuse("get", DEPLOYMENT, Rejected(403, "deployments is forbidden"))
    with pytest.raises(Rejected):
        await run(cluster)
    assert condition(cluster) == (
        "False",
        "ReconcileFailed",
        "the API server refused: deployments is forbidden; it is tried again",
    )
    assert [event.reason for event in cluster.events] == ["ReconcileFailed"]
    cluster.refuse("get", DEPLOYMENT, None)
    await run(cluster)
    assert condition(cluster)[:2] == ("True", "Applied")


@pytest.mark.parametrize(("name", "followed"), [("aaa", "g-decode"), ("keda", "keda")])
async def test_of_two_adapters_of_a_component_one_says_that_it_scales_nothing(
    cluster: FakeCluster, name: str, followed: str
) -> None:
    made = cluster.peek(DGDSA, "ns", "g-decode") or {}
    spec = {**made["spec"], "replicas": 8}
    meta = {"name": name, "namespace": "ns"}
    await cluster.create({**made, "metadata": meta, "spec": spec, "status": {}}, "team")
    await run(cluster, Key("ns", name))
    await scale(cluster, "decode", 3)
    assert replicas(cluster)["decode"] == (3 if followed == "g-decode" else 8)
    other = ({name, "g-decode"} - {followed}).pop()
    text = f"decode has the replicas of adapter {followed}; scale that one, and delete this one"
    assert condition(cluster, other) == ("False", "ScaledByAnother", text)
    assert condition(cluster, followed)[:2] == ("True", "Applied")
    await cluster.delete(DGDSA, "ns", followed)
    await run(cluster, Key("ns", other))
    assert replicas(cluster)["decode"] == (8 if followed == "g-decode" else 3)
    assert condition(cluster, other)[:2] == ("True", "Applied")
