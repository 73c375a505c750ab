"""Before the webhooks go: kinds that do without them, or a refusal that says what is in the way."""

from typing import Any

import pytest

from dgdr_api.catalog import CRDS
from dgdr_api.crd import render
from dgdr_kube.kinds import CRD
from dgdr_webhooks.adapters.authority import CONVERTED
from dgdr_webhooks.farewell import leave
from dgdr_webhooks.settings import Webhooks
from support.fake_cluster import FakeCluster

OURS = Webhooks()


def installed(stored: tuple[str, ...] = ("v1beta1",)) -> FakeCluster:
    cluster = FakeCluster()
    for crd in CRDS:
        cluster.seed({**render(crd), "status": {"storedVersions": list(stored)}})
    return cluster


async def spec_of(cluster: FakeCluster, name: str) -> Any:
    found = await cluster.get(CRD, None, name)
    assert found is not None
    return found["spec"]


@pytest.mark.parametrize("name", CONVERTED)
async def test_only_the_stored_version_is_served_and_nobody_converts(name: str) -> None:
    cluster = installed()
    before = await spec_of(cluster, name)
    assert await leave(cluster, OURS) == []
    after = await spec_of(cluster, name)
    assert after["conversion"] == {"strategy": "None"}
    assert {one["name"]: one["served"] for one in after["versions"]} == {
        "v1beta1": True,
        "v1alpha1": False,
    }
    schemas = [[one["schema"] for one in spec["versions"]] for spec in (before, after)]
    assert schemas[0] == schemas[1]


async def test_doing_it_twice_changes_nothing() -> None:
    cluster = installed()
    await leave(cluster, OURS)
    cluster.writes.clear()
    assert await leave(cluster, OURS) == []
    assert cluster.writes == []


async def test_while_old_versions_may_be_stored_nothing_is_changed() -> None:
    cluster = installed(("v1alpha1", "v1beta1"))
    problems = await leave(cluster, OURS)
    assert len(problems) == len(CONVERTED)
    assert "objects may still be stored as v1alpha1; write each of them once" in problems[0]
    assert cluster.writes == []


async def test_a_webhook_of_somebody_else_stays() -> None:
    cluster = installed()
    assert await leave(cluster, Webhooks(namespace="elsewhere")) == []
    assert cluster.writes == []
