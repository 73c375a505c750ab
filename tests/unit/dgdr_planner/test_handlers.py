from typing import Any

from dgdr_kube.ports import Key
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.handlers import Generations, concerned
from support.fake_cluster import FakeCluster


def meta(uid: str = "u", generation: int = 1, **more: Any) -> dict[str, Any]:
    return {"uid": uid, "generation": generation, **more}


def test_only_specs_births_and_ends_are_news() -> None:
    seen = Generations()
    assert seen.changed(None, meta())
    assert not seen.changed("MODIFIED", meta())
    assert seen.changed("MODIFIED", meta(generation=2))
    assert seen.changed("MODIFIED", meta(generation=2, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert seen.changed("DELETED", meta(generation=2))
    assert seen.changed("ADDED", meta(uid="v"))


def planner(name: str, target: str, **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "a", "name": name},
        "spec": {"targetRef": {"name": target}, **spec},
    }


def test_a_target_and_a_budget_know_their_planners() -> None:
    index = PlannerIndex(FakeCluster())
    concerned(index, "ADDED", planner("one", "q"))
    concerned(index, "ADDED", planner("two", "q", budget={"ref": "team"}))
    assert index.planners_of("a", "q") == [Key("a", "one"), Key("a", "two")]
    assert index.planners_of("b", "q") == []
    assert index.takers_of("a", "team") == [Key("a", "two")]
    concerned(index, "DELETED", planner("one", "q"))
    concerned(index, "MODIFIED", planner("two", "r"))
    assert index.planners_of("a", "q") == []


def test_a_planner_that_goes_or_turns_away_wakes_those_beside_it() -> None:
    index = PlannerIndex(FakeCluster())
    one, two = Key("a", "one"), Key("a", "two")
    assert concerned(index, "ADDED", planner("one", "q")) == [one]
    assert concerned(index, "ADDED", planner("two", "q")) == [one, two]
    assert concerned(index, "MODIFIED", planner("one", "r")) == [one, two]
    assert concerned(index, "MODIFIED", planner("one", "q")) == [one, two]
    assert concerned(index, "DELETED", planner("one", "q")) == [two]
