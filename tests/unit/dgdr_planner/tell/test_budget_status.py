"""What a GPUBudget says of itself, for people and for tools that know nothing of the kind."""

from typing import Any

import pytest

from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_planner.observe.budget import Claim, budget_seen
from dgdr_planner.observe.value import Trouble
from dgdr_planner.tell.budget import is_news, status_with
from support.planner_status import gpu_budget
from support.planning import at


def claimed(gpus: int, held: int, status: dict[str, Any] | None = None) -> GPUBudget:
    """The budget after its first member has claimed what it holds."""
    budget = GPUBudget.parse(gpu_budget(gpus) | {"status": status or {}})
    seen = budget_seen(budget, "q-dgd", frozenset(), {})
    assert not isinstance(seen, Trouble)
    told = status_with(budget, seen, Claim(reserved_gpus=held), "q", at(0))
    return budget.model_copy(update={"status": told})


@pytest.mark.parametrize(
    ("gpus", "held", "reason", "expected"),
    [
        pytest.param(20, 4, "WithinBudget", {"Feasible": "True", "Ready": "True"}, id="suffices"),
        pytest.param(
            20,
            30,
            "OverBudget",
            {"Feasible": "False", "Ready": "False", "Reconciling": "True"},
            id="members shrink",
        ),
        pytest.param(
            1,
            1,
            "GuaranteesExceedBudget",
            {"Feasible": "False", "Ready": "False", "Stalled": "True"},
            id="somebody has to act",
        ),
    ],
)
def test_a_budget_says_how_it_stands(
    gpus: int, held: int, reason: str, expected: dict[str, str]
) -> None:
    conditions = claimed(gpus, held).status.conditions
    assert {c.type: c.status.value for c in conditions} == expected
    assert {c.reason for c in conditions} == {reason}


def test_a_stalled_budget_names_the_cure() -> None:
    conditions = claimed(1, 1).status.conditions
    assert all("raise spec.gpus, or lower minGpus" in c.message for c in conditions)


def test_what_held_before_is_said_no_more() -> None:
    before = claimed(20, 30).status.to_json()
    after = claimed(20, 4, before).status.conditions
    assert {c.type for c in after} == {"Feasible", "Ready"}


def test_a_budget_of_an_earlier_planner_is_told_anew_once() -> None:
    budget, claim = claimed(20, 4), Claim(reserved_gpus=4, target="q")
    assert not is_news(budget, "q-dgd", claim)
    earlier = budget.status.model_copy(
        update={"conditions": tuple(c for c in budget.status.conditions if c.type == "Feasible")}
    )
    assert is_news(budget.model_copy(update={"status": earlier}), "q-dgd", claim)


def test_another_target_is_news() -> None:
    assert is_news(claimed(20, 4), "q-dgd", Claim(reserved_gpus=4, target="r"))
