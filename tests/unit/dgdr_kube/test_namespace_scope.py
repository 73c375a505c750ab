"""The Lease by which NVIDIA's operator leaves a namespace to us."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dgdr_api.names import NAMESPACE_SCOPE_LEASE as NAME
from dgdr_kube.errors import Conflict
from dgdr_kube.kinds import LEASE
from dgdr_kube.lease import Timing
from dgdr_kube.namespace_scope import PRINCIPAL, NamespaceScope
from dgdr_kube.ports import Manifest
from support.fake_cluster import FakeCluster

QUICK = Timing(lease_s=30, renew_s=20.0, retry_s=0.01, look_s=0.01)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_namespace_is_held_under_a_name_that_nvidias_webhooks_know() -> None:
    fake = FakeCluster()
    scope = NamespaceScope(fake, ("a", "b"), "dgdr-system/dgdr-operator", "system:x", QUICK)
    assert not scope.holds("a")
    keeping = asyncio.create_task(scope.keep())
    await until(lambda: scope.holds("a") and scope.holds("b"))
    found = fake.peek(LEASE, "a", NAME)
    assert found["spec"]["holderIdentity"] == "dgdr-system/dgdr-operator"
    assert found["spec"]["leaseDurationSeconds"] == 30
    assert found["metadata"]["annotations"] == {PRINCIPAL: "system:x"}
    assert not scope.holds("c")
    keeping.cancel()


def principal(fake: FakeCluster) -> str | None:
    found = fake.peek(LEASE, "a", NAME)
    return None if found is None else (found["metadata"].get("annotations") or {}).get(PRINCIPAL)


async def test_the_lease_never_is_without_its_principal() -> None:
    fake = FakeCluster()
    seen: list[str | None] = []
    fake.listeners.append(lambda *_: seen.append(principal(fake)))
    keeping = asyncio.create_task(NamespaceScope(fake, ("a",), "ours", "x", QUICK).keep())
    await until(lambda: len(seen) > 2)
    keeping.cancel()
    assert set(seen) == {"x"}


@pytest.mark.parametrize("what", ["the Lease", "the annotation"])
async def test_what_somebody_deletes_is_there_again_after_a_renewal(what: str) -> None:
    fake = FakeCluster()
    keeping = asyncio.create_task(NamespaceScope(fake, ("a",), "ours", "x", QUICK).keep())
    await until(lambda: principal(fake) == "x")
    if what == "the Lease":
        fake.vanish(LEASE, "a", NAME)
    else:
        patch = {"metadata": {"annotations": {PRINCIPAL: None}}}
        await fake.patch(LEASE, "a", NAME, patch, "somebody")
    assert principal(fake) is None
    await until(lambda: principal(fake) == "x")
    keeping.cancel()


class Counting(FakeCluster):
    """Counts what it answers to renewals."""

    renewals = conflicts = 0

    async def patch(self, *what: Any, **more: Any) -> Manifest:
        self.renewals += 1
        try:
            return await super().patch(*what, **more)
        except Conflict:
            self.conflicts += 1
            raise


async def test_a_new_leader_renews_without_a_conflict() -> None:
    fake = Counting()
    old = asyncio.create_task(NamespaceScope(fake, ("a",), "ours", "x", QUICK).keep())
    await until(lambda: principal(fake) == "x")
    old.cancel()
    new = asyncio.create_task(NamespaceScope(fake, ("a",), "ours", "x", QUICK).keep())
    await until(lambda: fake.renewals > 3)
    new.cancel()
    assert fake.conflicts == 0


async def test_a_namespace_that_is_taken_from_us_is_not_ours_any_more() -> None:
    fake = FakeCluster()
    scope = NamespaceScope(fake, ("a",), "ours", "system:x", QUICK)
    keeping = asyncio.create_task(scope.keep())
    await until(lambda: scope.holds("a"))
    spec = {"spec": {"holderIdentity": "namespace-restricted-operator-1.5.0"}}
    await fake.patch(LEASE, "a", NAME, spec, "theirs")
    await until(lambda: not scope.holds("a"))
    assert not keeping.done()
    keeping.cancel()
