import asyncio
from typing import Any

from dgdr_kube.kinds import DGD, GPU_BUDGET, SLA_PLANNER, Kind
from dgdr_kube.ports import Change, ChangeType, Key, Listing, Manifest
from dgdr_kube.workqueue import WorkQueue
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.handlers import concerned, is_news, stores
from support.fake_cluster import FakeCluster
from support.planning import DGD_NAME, NAMESPACE, sla_planner


def about(uid: str = "u", generation: int = 1, **more: Any) -> Manifest:
    return {"metadata": {"uid": uid, "generation": generation, **more}}


def test_only_specs_births_and_ends_are_news() -> None:
    assert is_news(None, about())
    assert is_news(about(), None)
    assert not is_news(about(resourceVersion="1"), about(resourceVersion="2"))
    assert is_news(about(), about(generation=2))
    assert is_news(about(), about(deletionTimestamp="2026-01-01T00:00:00Z"))
    assert is_news(about(), about(uid="v"))


def planner(name: str, target: str, version: int = 1, **spec: Any) -> Manifest:
    return {
        "metadata": {
            "namespace": "a", "name": name, "resourceVersion": str(version), "generation": version,
        },
        "spec": {"targetRef": {"name": target}, **spec},
    }  # fmt: skip


def test_a_target_and_a_budget_know_their_planners() -> None:
    index = PlannerIndex(FakeCluster())
    one, two = Key("a", "one"), Key("a", "two")
    concerned(index, one, planner("one", "q"))
    concerned(index, two, planner("two", "q", budget={"ref": "team"}))
    assert index.planners_of("a", "q") == [one, two]
    assert index.planners_of("b", "q") == []
    assert index.takers_of("a", "team") == [two]
    concerned(index, one, None)
    concerned(index, two, planner("two", "r"))
    assert index.planners_of("a", "q") == []
    assert index.takers_of("a", "team") == []


def test_a_planner_that_goes_or_turns_away_wakes_those_beside_it() -> None:
    index = PlannerIndex(FakeCluster())
    one, two = Key("a", "one"), Key("a", "two")
    assert concerned(index, one, planner("one", "q")) == [one]
    assert concerned(index, two, planner("two", "q")) == [one, two]
    assert concerned(index, one, planner("one", "r")) == [one, two]
    assert concerned(index, one, planner("one", "q")) == [one, two]
    assert concerned(index, one, None) == [two]


def named(name: str, version: int = 1) -> Manifest:
    meta = {"namespace": "a", "name": name, "resourceVersion": str(version), "generation": version}
    return {"metadata": meta}


async def test_deployments_and_budgets_wake_their_planners_and_statuses_wake_nobody() -> None:
    queue: WorkQueue[Key] = WorkQueue()
    served: list[Key] = []

    async def serve(key: Key) -> None:
        served.append(key)

    async def woken() -> list[Key]:
        served.clear()
        await queue.drain(serve)
        return sorted(served)

    kinds = stores(queue, WorkQueue(), PlannerIndex(FakeCluster()))
    one, two = Key("a", "one"), Key("a", "two")
    planners = [planner("one", "q"), planner("two", "r", budget={"ref": "team"})]
    kinds[SLA_PLANNER].replace(None, Listing(planners, "5"))
    assert await woken() == [one, two]
    kinds[DGD].replace(None, Listing([named("q")], "6"))
    assert await woken() == [one]
    told = named("q", 7)
    told["metadata"]["generation"] = 1
    kinds[DGD].apply(Change(ChangeType.MODIFIED, told))
    assert await woken() == []
    kinds[GPU_BUDGET].apply(Change(ChangeType.ADDED, named("team")))
    assert await woken() == [two]


async def test_a_budget_is_looked_at_when_it_changes_and_when_a_planner_leaves_it() -> None:
    budgets: WorkQueue[Key] = WorkQueue()
    looked: list[Key] = []

    async def look(key: Key) -> None:
        looked.append(key)

    async def looked_at() -> list[Key]:
        looked.clear()
        await budgets.drain(look)
        return sorted(looked)

    kinds = stores(WorkQueue(), budgets, PlannerIndex(FakeCluster()))
    kinds[GPU_BUDGET].apply(Change(ChangeType.ADDED, named("team")))
    assert await looked_at() == [Key("a", "team")]
    one = planner("one", "q", budget={"ref": "team"})
    kinds[SLA_PLANNER].apply(Change(ChangeType.ADDED, one))
    other = planner("one", "q", 2, budget={"ref": "other"})
    await looked_at()
    kinds[SLA_PLANNER].apply(Change(ChangeType.MODIFIED, other))
    assert await looked_at() == [Key("a", "other"), Key("a", "team")]
    kinds[SLA_PLANNER].apply(Change(ChangeType.DELETED, other))
    assert await looked_at() == [Key("a", "other")]


class SlowLists(FakeCluster):
    """An API server whose list of planners was taken before one of them went."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.answers = asyncio.Event(), asyncio.Event()

    async def list(self, kind: Kind, namespace: str, *args: Any) -> list[Manifest]:
        found = await super().list(kind, namespace, *args)
        self.asked.set()
        await self.answers.wait()
        return found


async def test_a_planner_that_goes_during_the_first_list_is_gone_and_then_forgotten() -> None:
    cluster = SlowLists()
    cluster.seed(sla_planner())
    index, key = PlannerIndex(cluster), Key(NAMESPACE, DGD_NAME)
    listing = asyncio.create_task(index.scaling(NAMESPACE, DGD_NAME))
    await cluster.asked.wait()
    index.forget(key)
    cluster.answers.set()
    assert await listing == ()
    index.forget(Key(NAMESPACE, "another"))
    assert not index._gone
