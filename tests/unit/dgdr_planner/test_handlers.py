from typing import Any

from dgdr_kube.ports import Key
from dgdr_planner.handlers import Generations, TargetIndex


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


def test_a_target_knows_its_planners() -> None:
    index = TargetIndex()
    index.note(Key("a", "one"), "q")
    index.note(Key("a", "two"), "q")
    index.note(Key("b", "one"), "q")
    assert index.planners_of("a", "q") == [Key("a", "one"), Key("a", "two")]
    index.note(Key("a", "one"), None)
    index.note(Key("a", "two"), "r")
    assert index.planners_of("a", "q") == []
