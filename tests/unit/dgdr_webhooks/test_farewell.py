"""Before the webhooks go: kinds that do without them, or a refusal that says what is in the way."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_api.catalog import CRDS
from dgdr_api.crd import render
from dgdr_kube.kinds import CRD
from dgdr_webhooks.adapters.authority import CONVERTED, Authority
from dgdr_webhooks.comeback import come_back
from dgdr_webhooks.core.farewell import TAKEN_OUT
from dgdr_webhooks.core.trust import encoded
from dgdr_webhooks.farewell import leave
from dgdr_webhooks.settings import Webhooks
from support.fake_cluster import FakeCluster

OURS = Webhooks()
NOW = datetime(2026, 1, 1, tzinfo=UTC)


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


def give_secret(cluster: FakeCluster, own: Webhooks = OURS) -> None:
    """Have an empty Secret, as the chart makes it."""
    metadata = {"name": own.certificate.secret, "namespace": own.namespace}
    cluster.seed({"apiVersion": "v1", "kind": "Secret", "metadata": metadata})


async def left() -> tuple[FakeCluster, list[Any]]:
    """Return a cluster whose CRDs were converted and are no more, and how they were."""
    cluster = installed()
    give_secret(cluster)
    await Authority(cluster, OURS).tend(NOW)
    before = [await spec_of(cluster, name) for name in CONVERTED]
    assert await leave(cluster, OURS) == []
    return cluster, before


async def test_the_next_installation_of_the_name_converts_again() -> None:
    cluster, before = await left()
    give_secret(cluster)
    made = await Authority(cluster, OURS).tend(NOW)
    for name, was in zip(CONVERTED, before, strict=True):
        found = await cluster.get(CRD, None, name)
        assert found is not None
        assert found["spec"]["versions"] == was["versions"]
        client = found["spec"]["conversion"]["webhook"]["clientConfig"]
        assert client.pop("caBundle") == encoded(made.authorities)
        was["conversion"]["webhook"]["clientConfig"].pop("caBundle")
        assert found["spec"]["conversion"] == was["conversion"]
        assert TAKEN_OUT not in found["metadata"].get("annotations", {})
    cluster.writes.clear()
    await Authority(cluster, OURS).tend(NOW)
    assert cluster.writes == []


async def test_where_cert_manager_says_whom_to_trust_the_install_converts_again() -> None:
    cluster, before = await left()
    assert await come_back(cluster, OURS) == []
    for name, was in zip(CONVERTED, before, strict=True):
        found = await cluster.get(CRD, None, name)
        assert found is not None
        assert found["spec"]["versions"] == was["versions"]
        was["conversion"]["webhook"]["clientConfig"].pop("caBundle")
        assert found["spec"]["conversion"] == was["conversion"]
        assert TAKEN_OUT not in found["metadata"].get("annotations", {})
    cluster.writes.clear()
    assert await come_back(cluster, OURS) == []
    assert cluster.writes == []


async def test_an_install_converts_nothing_that_it_was_not_taken_out_of() -> None:
    cluster, _ = await left()
    cluster.writes.clear()
    assert await come_back(cluster, Webhooks(namespace="dgdr-system-2")) == []
    assert await come_back(installed(), OURS) == []
    assert cluster.writes == []


async def test_pods_that_are_being_uninstalled_put_nothing_back() -> None:
    cluster, _ = await left()
    cluster.writes.clear()
    await Authority(cluster, OURS).tend(NOW)
    assert cluster.writes == []


async def test_an_installation_of_another_name_puts_nothing_back() -> None:
    cluster, _ = await left()
    other = Webhooks(namespace="dgdr-system-2")
    give_secret(cluster, other)
    await Authority(cluster, other).tend(NOW)
    for name in CONVERTED:
        assert (await spec_of(cluster, name))["conversion"] == {"strategy": "None"}


async def test_who_converts_by_now_goes_on() -> None:
    cluster, _ = await left()
    client = {"service": {"namespace": "else", "name": "w"}}
    theirs = {"strategy": "Webhook", "webhook": {"clientConfig": client}}
    for name in CONVERTED:
        await cluster.patch(CRD, None, name, {"spec": {"conversion": theirs}}, "somebody")
    give_secret(cluster)
    await Authority(cluster, OURS).tend(NOW)
    for name in CONVERTED:
        assert (await spec_of(cluster, name))["conversion"] == theirs


async def test_a_webhook_of_somebody_else_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    cluster, own = installed(), Webhooks(service="other-webhooks")
    give_secret(cluster, own)
    authority = Authority(cluster, own)
    for _ in range(2):
        await authority.tend(NOW)
    texts = [one.getMessage() for one in caplog.records if "is converted by" in one.getMessage()]
    assert len(texts) == len(CONVERTED)
    assert (
        "is converted by Service dgdr-system/dgdr-operator-webhooks, not by Service "
        "dgdr-system/other-webhooks"
    ) in texts[0]
