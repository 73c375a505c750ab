"""The Lease by which NVIDIA's operator leaves a namespace to us."""

import asyncio
from collections.abc import Callable

from dgdr_api.names import NAMESPACE_SCOPE_LEASE as NAME
from dgdr_kube.kinds import LEASE
from dgdr_kube.lease import Timing
from dgdr_kube.namespace_scope import PRINCIPAL, NamespaceScope
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
    await until(lambda: "annotations" in fake.peek(LEASE, "a", NAME)["metadata"])
    found = fake.peek(LEASE, "a", NAME)
    assert found["spec"]["holderIdentity"] == "dgdr-system/dgdr-operator"
    assert found["spec"]["leaseDurationSeconds"] == 30
    assert found["metadata"]["annotations"] == {PRINCIPAL: "system:x"}
    assert not scope.holds("c")
    keeping.cancel()


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
