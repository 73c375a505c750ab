"""One Secret, whoever writes it first; and who has to trust what is in it."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_kube.errors import Conflict
from dgdr_kube.kinds import CRD, MUTATING_WEBHOOKS, SECRET, VALIDATING_WEBHOOKS, Kind
from dgdr_webhooks.adapters.authority import CONVERTED, Authority, NoCertificate
from dgdr_webhooks.adapters.tls import Served
from dgdr_webhooks.settings import Certificate, Webhooks
from support.fake_cluster import FakeCluster

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OURS = {"service": {"namespace": "dgdr-system", "name": "dgdr-operator-webhooks", "path": "/x"}}
THEIRS = {"service": {"namespace": "else", "name": "dgdr-operator-webhooks"}}
NAME = "dgdr-operator-webhooks"


def manifest(kind: Kind, name: str, namespace: str | None = None, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **rest}


def installed() -> FakeCluster:
    cluster = FakeCluster()
    cluster.seed(manifest(SECRET, NAME, "dgdr-system"))
    for name in CONVERTED:
        webhook = {"clientConfig": OURS, "conversionReviewVersions": ["v1"]}
        conversion = {"strategy": "Webhook", "webhook": webhook}
        cluster.seed(manifest(CRD, name, spec={"group": "nvidia.com", "conversion": conversion}))
    for kind in (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS):
        webhooks = [
            {"name": "a", "clientConfig": OURS, "failurePolicy": "Fail"},
            {"name": "b", "clientConfig": THEIRS},
        ]
        cluster.seed(manifest(kind, NAME, webhooks=webhooks))
    return cluster


async def bundle_of(cluster: FakeCluster, name: str) -> str:
    crd = await cluster.get(CRD, None, name)
    assert crd is not None
    client = crd["spec"]["conversion"]["webhook"]["clientConfig"]
    return base64.b64decode(client.get("caBundle", "")).decode()


async def test_the_first_pod_makes_them_and_all_are_told() -> None:
    cluster = installed()
    made = await Authority(cluster, Webhooks()).tend(NOW)
    assert {await bundle_of(cluster, name) for name in CONVERTED} == {made.authorities}
    for kind in (VALIDATING_WEBHOOKS, MUTATING_WEBHOOKS):
        found = await cluster.get(kind, None, NAME)
        assert found is not None
        own, other = found["webhooks"]
        assert base64.b64decode(own["clientConfig"]["caBundle"]).decode() == made.authorities
        assert own["failurePolicy"] == "Fail"
        assert other == {"name": "b", "clientConfig": THEIRS}


async def test_the_second_pod_serves_with_the_same_and_writes_nothing() -> None:
    cluster = installed()
    first = await Authority(cluster, Webhooks()).tend(NOW)
    cluster.writes.clear()
    assert await Authority(cluster, Webhooks()).tend(NOW + timedelta(minutes=1)) == first
    assert cluster.writes == []


async def test_a_certificate_that_somebody_took_away_comes_from_the_same_authority() -> None:
    cluster = installed()
    authority = Authority(cluster, Webhooks())
    made = await authority.tend(NOW)
    await cluster.patch(SECRET, "dgdr-system", NAME, {"data": {"tls.crt": None}}, "somebody")
    new = await authority.tend(NOW + timedelta(days=1))
    assert new.authorities == made.authorities
    assert new.chain != made.chain


async def test_of_two_that_write_at_once_one_wins() -> None:
    cluster = installed()
    secret = await cluster.get(SECRET, "dgdr-system", NAME)
    assert secret is not None
    cluster.refuse("patch", SECRET, Conflict("changed"))
    with pytest.raises(Conflict):
        await Authority(cluster, Webhooks()).tend(NOW)


async def test_conversion_by_others_and_by_nobody_is_left_alone() -> None:
    cluster = installed()
    first, second, *_ = CONVERTED
    webhook = {"clientConfig": THEIRS}
    theirs = {"conversion": {"strategy": "Webhook", "webhook": webhook}}
    cluster.seed(manifest(CRD, first, spec=theirs))
    cluster.seed(manifest(CRD, second, spec={"conversion": {"strategy": "None"}}))
    await Authority(cluster, Webhooks()).tend(NOW)
    for name, spec in ((first, theirs), (second, {"conversion": {"strategy": "None"}})):
        found = await cluster.get(CRD, None, name)
        assert found is not None
        assert found["spec"] == spec


async def test_a_place_that_is_not_there_is_none_to_write_to() -> None:
    cluster = FakeCluster()
    cluster.seed(manifest(SECRET, NAME, "dgdr-system"))
    assert await Authority(cluster, Webhooks()).tend(NOW)


async def test_without_the_secret_it_says_what_is_missing() -> None:
    with pytest.raises(NoCertificate, match="Secret dgdr-system/dgdr-operator-webhooks is not"):
        await Authority(FakeCluster(), Webhooks()).tend(NOW)


async def test_what_somebody_else_manages_is_only_read() -> None:
    made = await Authority(installed(), Webhooks()).tend(NOW)
    cluster = installed()
    own = Webhooks(certificate=Certificate(managed=False))
    with pytest.raises(NoCertificate, match=r"has no tls\.crt"):
        await Authority(cluster, own).tend(NOW)
    texts = {"ca.crt": made.authorities, "tls.crt": made.chain, "tls.key": made.key}
    data = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
    cluster.seed(manifest(SECRET, NAME, "dgdr-system", data=data))
    found = await Authority(cluster, own).tend(NOW + timedelta(days=80))
    assert (found.chain, found.key) == (made.chain, made.key)
    assert cluster.writes == []
    assert await bundle_of(cluster, CONVERTED[0]) == ""


async def test_a_new_certificate_is_shown_and_the_same_one_is_no_news() -> None:
    authority = Authority(installed(), Webhooks())
    served = Served()
    assert not served.is_valid(NOW)
    assert served.show(await authority.tend(NOW))
    assert not served.show(await authority.tend(NOW))
    assert served.is_valid(NOW + timedelta(days=89))
    assert not served.is_valid(NOW + timedelta(days=90))
    assert served.show(await authority.tend(NOW + timedelta(days=70)))
    assert served.ends_s() == (NOW + timedelta(days=160)).timestamp()
