"""A planner's status is written over what it was decided from, and over nothing else."""

from typing import Any

import pytest

from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_kube.errors import Conflict
from dgdr_kube.kinds import SLA_PLANNER
from dgdr_kube.ports import Key, Manifest
from dgdr_planner.adapters.status_writer import StatusWriter
from support.fake_cluster import FakeCluster
from support.planning import sla_planner

NEW = SLAPlannerStatus(observed_generation=1)


def there() -> tuple[FakeCluster, Key, Manifest]:
    cluster = FakeCluster()
    manifest = cluster.seed({**sla_planner(), "status": {"observedGeneration": 0}})
    return cluster, Key(manifest["metadata"]["namespace"], manifest["metadata"]["name"]), manifest


def status(cluster: FakeCluster, key: Key) -> Any:
    return (cluster.peek(SLA_PLANNER, *key) or {})["status"]


async def test_an_edit_meanwhile_is_no_reason_to_forget_what_was_done() -> None:
    cluster, key, read = there()
    await cluster.patch(SLA_PLANNER, *key, {"metadata": {"labels": {"a": "b"}}}, "somebody")
    await StatusWriter(cluster).write(key, read, NEW)
    assert status(cluster, key)["observedGeneration"] == 1


async def test_what_another_planner_has_reported_stays() -> None:
    cluster, key, read = there()
    await cluster.patch_status(SLA_PLANNER, *key, {"observedGeneration": 7}, "dgdr-planner")
    with pytest.raises(Conflict):
        await StatusWriter(cluster).write(key, read, NEW)
    assert status(cluster, key) == {"observedGeneration": 7}


async def test_a_planner_made_anew_is_another_one() -> None:
    cluster, key, read = there()
    await cluster.delete(SLA_PLANNER, *key)
    cluster.seed(sla_planner())
    await StatusWriter(cluster).write(key, read, NEW)
    assert "status" not in (cluster.peek(SLA_PLANNER, *key) or {})
