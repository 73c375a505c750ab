from dataclasses import replace
from datetime import timedelta

import pytest

from dgdr_api.graph import Role
from dgdr_planner.limit.edits import YIELD_S, Edit, Known, edit_of
from dgdr_planner.observe.observation import RoleSeen
from support.planning import at, role

HALF_HOUR = timedelta(seconds=YIELD_S)


def seen(replicas: int, writer: str | None) -> RoleSeen:
    return replace(role(Role.DECODE, replicas), writer=writer)


@pytest.mark.parametrize(
    ("replicas", "writer", "known"),
    [
        pytest.param(5, "dgdr-planner", 3, id="our own write, whose status was lost"),
        pytest.param(5, "dgdr-scale", 3, id="the operator's copy"),
        pytest.param(5, "dgdr-operator", 3, id="an adapter made anew"),
        pytest.param(3, "kubectl", 3, id="the number that is there already"),
        pytest.param(5, "kubectl", None, id="what a new planner finds"),
        pytest.param(5, None, 3, id="nobody knows who"),
    ],
)
def test_what_is_no_edit(replicas: int, writer: str | None, known: int | None) -> None:
    before = None if known is None else Known(known)
    assert edit_of(seen(replicas, writer), before, None, at(0)) is None


def test_another_hand_is_left_alone_for_half_an_hour_and_no_longer() -> None:
    edit = edit_of(seen(5, "kubectl"), Known(3), None, at(0))
    assert edit == Edit(replicas=5, by="kubectl", until=at(0) + HALF_HOUR)
    assert edit_of(seen(5, "kubectl"), Known(5), edit, at(YIELD_S - 1)) == edit
    assert edit_of(seen(5, "kubectl"), Known(5), edit, at(YIELD_S)) is None


def test_another_edit_begins_anew() -> None:
    first = edit_of(seen(5, "kubectl"), Known(3), None, at(0))
    second = edit_of(seen(6, "kubectl"), Known(5), first, at(600))
    assert second is not None
    assert second.until == at(600) + HALF_HOUR


def test_a_number_that_is_ours_again_ends_it() -> None:
    first = edit_of(seen(5, "kubectl"), Known(3), None, at(0))
    assert edit_of(seen(3, "dgdr-planner"), Known(5), first, at(600)) is None


def test_a_number_from_another_place_is_no_edit() -> None:
    there = replace(seen(5, "kubectl"), adapter_version=None)
    assert edit_of(there, Known(3, adapted=True), None, at(0)) is None
    assert edit_of(there, Known(3, adapted=False), None, at(0)) is not None
