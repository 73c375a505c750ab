"""What the watches tell late must not do harm: before a write everything is read again."""

import pytest

from dgdr_kube.errors import Conflict
from dgdr_kube.kinds import DGD, DGDSA, SLA_PLANNER, Kind
from dgdr_kube.ports import Listing, WatchedCluster
from dgdr_kube.remembering import RememberingCluster
from dgdr_kube.store import Store
from dgdr_planner.decide import decide
from support.planning import DGD_NAME, NAMESPACE

from .test_planner_company import by_hand
from .test_planner_pass import KEY, World


class LateWorld(World):
    """A world whose watches tell what happened only when they are told to."""

    def watched(self) -> WatchedCluster:
        self.stores: dict[Kind, Store] = {kind: Store() for kind in (DGD, DGDSA, SLA_PLANNER)}
        self.tell()
        stores = {kind: (store,) for kind, store in self.stores.items()}
        return RememberingCluster(self.cluster, stores)

    def tell(self) -> None:
        """Let the watches catch up."""
        for kind, store in self.stores.items():
            there = [one for one in self.cluster.everything().values() if one["kind"] == kind.kind]
            version = max(int(one["metadata"]["resourceVersion"]) for one in there)
            store.replace(None, Listing(there, str(version)))

    def number_writes(self) -> int:
        return sum(write.verb == "scale" for write in self.cluster.writes)


async def test_a_number_that_a_person_has_just_written_is_left_alone() -> None:
    world = LateWorld()
    world.metrics.rate_per_s = 0.0
    await world.passes(2)
    world.tell()
    by_hand(world, "prefill", 5)
    world.metrics.rate_per_s = 25.0
    await world.passes()
    assert world.replicas() == (5, 5)
    edited = [role for role in world.status()["roles"] if role["role"] == "prefill"]
    assert edited[0]["yieldsUntil"]
    world.tell()
    await world.passes(2)
    assert world.replicas()[0] == 5


async def test_a_planner_that_was_suspended_a_moment_ago_writes_nothing() -> None:
    world = LateWorld()
    world.metrics.rate_per_s = 9.4
    patch = {"spec": {"suspend": True}}
    await world.cluster.patch(SLA_PLANNER, NAMESPACE, DGD_NAME, patch, "kubectl")
    delay_s = await world.run(KEY)
    assert (world.replicas(), delay_s) == ((1, 1), 2.0)
    world.tell()
    await world.passes()
    assert world.replicas() == (1, 1)
    assert world.condition("Ready")[1] == "Suspended"


async def test_a_planner_that_is_gone_writes_nothing() -> None:
    world = LateWorld()
    world.metrics.rate_per_s = 9.4
    await world.cluster.delete(SLA_PLANNER, NAMESPACE, DGD_NAME)
    await world.run(KEY)
    assert world.replicas() == (1, 1)


async def test_the_own_number_is_not_taken_for_somebody_elses() -> None:
    world = LateWorld()
    await world.passes(2)
    by_hand(world, "prefill", 1)
    world.tell()
    world.metrics.rate_per_s = 9.4
    await world.passes(12)
    assert world.number_writes() > 1
    assert world.replicas() == (3, 2)
    assert not any("yieldsUntil" in role for role in world.status()["roles"])


async def test_as_long_as_nothing_changes_nothing_is_read() -> None:
    world = LateWorld()
    await world.passes(3)
    world.tell()
    asked: list[str] = []
    get = world.cluster.get

    async def counted(kind: Kind, namespace: str | None, name: str) -> object:
        asked.append(kind.kind)
        return await get(kind, namespace, name)

    world.cluster.get = counted  # type: ignore[method-assign, assignment]
    await world.passes(4)
    assert set(asked) <= {"ConfigMap"}


async def test_a_status_is_written_on_what_is_there_not_on_what_was_told() -> None:
    world = LateWorld()
    await world.passes()
    world.cluster.set_status(SLA_PLANNER, NAMESPACE, DGD_NAME, {"observed": {"frontends": 7}})
    world.metrics.rate_per_s = 9.4
    with pytest.raises(Conflict):  # the queue tries again
        await world.passes()
    await world.passes()
    assert world.status()["observed"]["frontends"] == 1
    assert world.replicas() != (1, 1)


async def test_only_what_has_changed_meanwhile_is_decided_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decided = []

    def counted(*args: object) -> object:
        decided.append(args)
        return decide(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("dgdr_planner.planner_pass.decide", counted)
    world = LateWorld()
    world.metrics.rate_per_s = 9.4
    await world.passes()
    assert (world.number_writes(), len(decided)) == (2, 1)
    world.tell()
    by_hand(world, "prefill", 5)
    world.metrics.rate_per_s = 25.0
    await world.passes()
    assert len(decided) == 3
