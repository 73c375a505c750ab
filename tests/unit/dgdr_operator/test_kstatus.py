"""What tools that know nothing of our kinds make of a status: kstatus' generic rules."""

from enum import StrEnum
from typing import Any

import pytest

from dgdr_api.names import FieldManager
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import DGD, DGDSA, PVC
from dgdr_kube.ports import Key, Manifest
from dgdr_operator.passes.adapter_pass import AdapterPass
from dgdr_operator.passes.graph_pass import GraphPass
from support.dgdr_world import DGD_NAME, NS, SETTINGS, T0, World, dgdr
from support.dgds import decode_worker, dgd
from support.fake_cluster import FakeCluster


class Read(StrEnum):
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    CURRENT = "Current"


def kstatus(manifest: Manifest) -> Read:
    """Read an object as kstatus does (checkGenericProperties, then the Ready condition)."""
    status = manifest.get("status") or {}
    observed = status.get("observedGeneration")
    if observed is not None and observed != manifest["metadata"]["generation"]:
        return Read.IN_PROGRESS
    told = {c["type"]: c["status"] for c in status.get("conditions") or ()}
    if told.get("Reconciling") == "True":
        return Read.IN_PROGRESS
    if told.get("Stalled") == "True":
        return Read.FAILED
    return Read.CURRENT if told.get("Ready", "True") == "True" else Read.IN_PROGRESS


async def failed_job(world: World) -> None:
    await world.settle()
    world.job_is("Failed", "x")
    await world.settle()


async def invalid(world: World) -> None:
    await world.edit(sla={"ttft": 1})
    await world.settle()


async def degraded(world: World) -> None:
    await world.live()
    world.dgd_is("failed", available=0)
    await world.settle()


async def deleted(world: World) -> None:
    await world.live()
    await world.cluster.delete(DGD, NS, DGD_NAME)
    await world.settle()


@pytest.mark.parametrize(
    ("life", "expected", "types"),
    [
        pytest.param(World.settle, Read.IN_PROGRESS, {"Ready", "Reconciling"}, id="profiling"),
        pytest.param(World.live, Read.CURRENT, {"Ready"}, id="deployed"),
        pytest.param(failed_job, Read.FAILED, {"Ready", "Stalled"}, id="failed"),
        pytest.param(invalid, Read.FAILED, {"Ready", "Stalled"}, id="invalid"),
        pytest.param(degraded, Read.IN_PROGRESS, {"Ready", "Reconciling"}, id="degraded"),
        pytest.param(deleted, Read.FAILED, {"Ready", "Stalled"}, id="deployment deleted"),
    ],
)
async def test_a_request_is_read_as_it_stands(life: Any, expected: Read, types: set[str]) -> None:
    world = World()
    await life(world)
    assert kstatus(world.request) is expected
    assert {"Ready", "Reconciling", "Stalled"} & world.conditions == types
    generation = world.request["metadata"]["generation"]
    assert all(c["observedGeneration"] == generation for c in world.status["conditions"])


async def test_a_request_that_waits_or_that_is_for_review_is_no_failure() -> None:
    waiting = World(dgdr(modelCache={"pvcName": "weights"}))
    await waiting.settle()
    assert kstatus(waiting.request) is Read.IN_PROGRESS
    waiting.cluster.refuse("get", PVC, Rejected(403, "forbidden"))
    with pytest.raises(Rejected):
        await waiting.one_pass()
    assert kstatus(waiting.request) is Read.IN_PROGRESS
    review = World(dgdr(autoApply=False))
    await review.live()
    assert kstatus(review.request) is Read.CURRENT


@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        pytest.param({}, Read.IN_PROGRESS, id="pods are not there yet"),
        pytest.param({"multinode": {"nodeCount": 2}}, Read.FAILED, id="impossible"),
        pytest.param({"replicas": "two"}, Read.FAILED, id="unreadable"),
    ],
)
async def test_a_deployment_is_read_as_it_stands(worker: Any, expected: Read) -> None:
    cluster = FakeCluster(T0)
    cluster.seed(dgd(decode_worker(**worker)))
    await GraphPass(cluster, SETTINGS)(Key("ns", "g"), T0)
    assert kstatus(cluster.peek(DGD, "ns", "g") or {}) is expected


@pytest.mark.parametrize(
    ("name", "component", "expected"),
    [("g", "decode", Read.CURRENT), ("g", "x", Read.FAILED), ("later", "decode", Read.IN_PROGRESS)],
)
async def test_an_adapter_is_read_as_it_stands(name: str, component: str, expected: Read) -> None:
    cluster = FakeCluster(T0)
    await cluster.create(dgd(decode_worker(replicas=1)), FieldManager.INIT)
    adapter = cluster.seed(
        {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentScalingAdapter",
            "metadata": {"name": "a", "namespace": "ns"},
            "spec": {"replicas": 1, "dgdRef": {"name": name, "serviceName": component}},
        }
    )
    await AdapterPass(cluster, SETTINGS)(Key("ns", "a"), T0)
    found = cluster.peek(DGDSA, "ns", "a") or {}
    assert found["metadata"]["uid"] == adapter["metadata"]["uid"]
    assert kstatus(found) is expected
