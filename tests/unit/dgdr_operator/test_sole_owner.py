"""What is done about objects that another operator reconciles, too: it is said, and no more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_api.names import NAMESPACE_SCOPE_LEASE
from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDR, LEASE, Kind
from dgdr_kube.ports import Key
from dgdr_operator.core.ownership import holder_of, second_owner
from dgdr_operator.passes.sole_owner import LOOK_AGAIN_S, SOON_S, Owners, SoleOwner
from support.fake_cluster import FakeCluster

NOW = datetime(2025, 1, 1, tzinfo=UTC)
KEY = Key("ns", "g")
THEIRS = {
    "apiVersion": "nvidia.com/v1beta1",
    "kind": "DynamoComponentDeployment",
    "name": "g-decode-0a1b2c3d",
    "uid": "u",
    "controller": True,
}


def deployment(*owners: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "g-decode-0a1b2c3d",
            "namespace": "ns",
            "labels": {"nvidia.com/dynamo-graph-deployment-name": "g"},
            "ownerReferences": [*owners],
        },
        "spec": {},
    }


def lease(
    now: datetime, holder: str = "namespace-restricted-operator-1.5.0", lasts_s: int | None = 30
) -> dict[str, Any]:
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": lasts_s,
        "renewTime": now.isoformat().replace("+00:00", "Z"),
    }
    meta = {"name": NAMESPACE_SCOPE_LEASE, "namespace": "ns"}
    return {"apiVersion": LEASE.api_version, "kind": "Lease", "metadata": meta, "spec": spec}


def stage(*more: dict[str, Any], kind: Kind = DGD) -> tuple[FakeCluster, SoleOwner, list[Key]]:
    fake, ran = FakeCluster(NOW), []
    fake.admits_all = True
    meta = {"name": "g", "namespace": "ns"}
    fake.seed({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": meta, "spec": {}})
    for manifest in more:
        fake.seed(manifest)

    async def run(key: Key, _: datetime) -> float | None:
        ran.append(key)
        return None

    return fake, SoleOwner(run, kind, fake, Owners(fake)), ran


def conflict(fake: FakeCluster, kind: Kind = DGD) -> tuple[str, str] | None:
    found = (fake.peek(kind, "ns", "g").get("status") or {}).get("conditions") or ()
    return next(((c["status"], c["reason"]) for c in found), None)


async def test_an_object_of_ours_alone_is_reconciled_and_nothing_is_said() -> None:
    own = {"apiVersion": "nvidia.com/v1beta1", "kind": DGD.kind, "controller": True}
    fake, owned, ran = stage(deployment({**own, "name": "g", "uid": "1"}))
    assert await owned(KEY, NOW) is None
    assert ran == [KEY]
    assert fake.writes == []


async def test_deployments_of_nvidias_operator_stop_every_write_but_the_condition() -> None:
    fake, owned, ran = stage(deployment(THEIRS))
    for _ in range(3):
        assert await owned(KEY, NOW) == LOOK_AGAIN_S
    assert ran == []
    assert [write.verb for write in fake.writes] == ["patch_status"]
    assert conflict(fake) == ("True", "SecondOwner")
    (event,) = fake.events
    assert "DynamoComponentDeployment g-decode-0a1b2c3d" in event.message


async def test_when_the_other_one_has_gone_work_goes_on_and_it_is_said() -> None:
    fake, owned, ran = stage(deployment(THEIRS))
    await owned(KEY, NOW)
    await fake.delete(DEPLOYMENT, "ns", "g-decode-0a1b2c3d")
    await owned(KEY, NOW + timedelta(seconds=30))
    assert ran == [KEY]
    assert conflict(fake) == ("False", "SoleOwner")


async def test_a_namespace_with_an_operator_of_its_own_is_left_alone_until_its_lease_ends() -> None:
    fake, owned, ran = stage(lease(NOW), kind=DGDR)
    assert await owned(KEY, NOW + timedelta(seconds=5)) == LOOK_AGAIN_S
    assert conflict(fake, DGDR) == ("True", "SecondOwner")
    await owned(KEY, NOW + timedelta(seconds=40))
    assert ran == [KEY]
    assert conflict(fake, DGDR) == ("False", "SoleOwner")


class Scope:
    """A takeover of every namespace, which holds its Leases or does not."""

    holder = "dgdr-system/dgdr-operator"

    def __init__(self, *, holds: bool) -> None:
        self.is_held = holds

    def holds(self, _: str) -> bool:
        return self.is_held


async def test_a_namespace_is_taken_over_once_its_lease_is_held() -> None:
    fake, owned, ran = stage()
    scope = Scope(holds=False)
    taking = replace(owned, owners=Owners(fake, scope))  # type: ignore[arg-type]
    assert await taking(KEY, NOW) == SOON_S
    assert fake.writes == []
    scope.is_held = True
    await taking(KEY, NOW + timedelta(seconds=2))
    assert ran == [KEY]


@pytest.mark.parametrize("kind", [DGD, DGDR])
@pytest.mark.parametrize(("is_ours", "left"), [(True, ["a.test/hold"]), (False, None)])
async def test_what_goes_from_a_namespace_that_was_taken_over_is_let_go(
    kind: Kind, is_ours: bool, left: list[str] | None
) -> None:
    fake, owned, _ = stage(kind=kind)
    held = ["nvidia.com/finalizer", "a.test/hold"]
    await fake.patch(kind, "ns", "g", {"metadata": {"finalizers": held}}, "nvidia")
    scope = Scope(holds=True) if is_ours else None
    taking = replace(owned, owners=Owners(fake, scope))  # type: ignore[arg-type]
    await taking(KEY, NOW)
    assert fake.peek(kind, "ns", "g")["metadata"]["finalizers"] == held
    await fake.delete(kind, "ns", "g")
    await taking(KEY, NOW)
    assert fake.peek(kind, "ns", "g")["metadata"]["finalizers"] == (left or held)


async def test_a_lease_that_cannot_be_had_is_said() -> None:
    fake, owned, ran = stage()
    fake.refuse("get", LEASE, Rejected(403, "leases is forbidden"))
    taking = replace(owned, owners=Owners(fake, Scope(holds=False)))  # type: ignore[arg-type]
    for seconds in (0, 70):
        await taking(KEY, NOW + timedelta(seconds=seconds))
    assert ran == []
    assert conflict(fake) == ("True", "SecondOwner")


async def test_who_may_not_read_leases_works_all_the_same() -> None:
    fake, owned, ran = stage()
    fake.refuse("get", LEASE, Rejected(403, "leases is forbidden"))
    await owned(KEY, NOW)
    assert ran == [KEY]


def test_what_an_earlier_graph_or_a_user_has_left_is_no_second_owner() -> None:
    earlier = {**THEIRS, "kind": DGD.kind}
    users = {**THEIRS, "apiVersion": "example.com/v1", "kind": "App"}
    assert second_owner([deployment(), deployment(earlier), deployment(users)]) is None


@pytest.mark.parametrize(
    ("found", "holder"),
    [
        pytest.param(None, None, id="no Lease"),
        pytest.param(lease(NOW, "theirs"), "theirs", id="held"),
        pytest.param(lease(NOW - timedelta(seconds=31)), None, id="run out"),
        pytest.param(lease(NOW, lasts_s=None), None, id="without a duration"),
        pytest.param(lease(NOW, ""), "somebody without a name", id="nameless"),
    ],
)
def test_who_holds_a_namespace(found: dict[str, Any] | None, holder: str | None) -> None:
    assert holder_of(found, NOW) == holder
