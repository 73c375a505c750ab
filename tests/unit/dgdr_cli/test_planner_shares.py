"""A shared budget on the screen: who has how many GPUs, and why."""

import json
from typing import Any

from typer.testing import CliRunner

from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_cli.app import app
from dgdr_cli.planner.shares import divided, seen_by
from dgdr_planner.observe.budget import BudgetSeen
from dgdr_planner.observe.value import Trouble
from support.planner_status import FakeSource, found, gpu_budget

SHARED = {"budget": {"ref": "team"}}


def run(*arguments: str, budget: dict[str, Any] | None) -> str:
    planner = FakeSource(found(shared=budget, **SHARED))
    ran = CliRunner().invoke(app, list(arguments), obj=planner, env={"COLUMNS": "100"})
    assert ran.exit_code == 0, ran.output
    return ran.output


def seen(manifest: dict[str, Any]) -> BudgetSeen:
    told = seen_by(GPUBudget.parse(manifest), "q-dgd")
    assert isinstance(told, BudgetSeen)
    return told


def test_each_member_has_its_share_and_the_reason() -> None:
    told = divided(seen(gpu_budget()))
    assert (told.gpus, told.held) == (20, 18)
    assert {one.planner: (one.wanted, one.share, one.denied) for one in told.portions} == {
        "q-dgd": (20, 10, 10),
        "r-dgd": (8, 8, 0),
        "s-dgd": (None, 2, 0),
    }
    assert [one.why for one in told.portions] == [
        "10 denied: r-dgd has priority; 2 are held for others",
        "all that its load needs",
        "has not said what it needs",
    ]


def test_equal_priorities_are_decided_by_gain() -> None:
    manifest = gpu_budget(gpus=14)
    manifest["spec"]["members"] = [{"planner": "q-dgd"}, {"planner": "r-dgd"}]
    manifest["status"]["holdings"][1]["steps"] = [{"gpus": 2, "gain": 9.0}] * 2
    first = divided(seen(manifest)).portions[0]
    assert (first.share, first.why) == (6, "14 denied: r-dgd gains more per GPU")


def test_a_planner_that_is_gone_still_holds_what_it_holds() -> None:
    manifest = gpu_budget()
    manifest["spec"]["members"] = manifest["spec"]["members"][:1]
    told = divided(seen(manifest))
    assert [(one.planner, one.share) for one in told.portions] == [("q-dgd", 14), ("r-dgd", 6)]
    assert told.portions[1].why == "keeps what it holds: it may not change now"


def test_who_is_no_member_is_told() -> None:
    told = seen_by(GPUBudget.parse(gpu_budget()), "x-dgd")
    assert isinstance(told, Trouble)
    assert "has no member x-dgd" in told.message


def test_an_explanation_shows_who_got_what() -> None:
    output = run("explain", "q-dgd", budget=gpu_budget())
    assert "Shared budget team: 20 GPUs, 18 held, 2 free" in output
    assert "10 denied: r-dgd has priority" in output
    assert max(len(line) for line in output.splitlines()) <= 100
    told = json.loads(run("explain", "q-dgd", "-o", "json", budget=gpu_budget()))
    assert told["budget"]["portions"][0]["denied"] == 10


def test_an_explanation_without_the_budget_says_that_it_is_not_there() -> None:
    assert "there is no GPUBudget team" in run("explain", "q-dgd", budget=None)


def test_a_comparison_plans_with_the_share() -> None:
    arguments = ("what-if", "q-dgd", "--ttft-ms", "290")
    told = json.loads(run(*arguments, "-o", "json", budget=gpu_budget()))
    for side in ("now", "then"):
        assert told[side]["shared_budget"] == {"name": "team", "gpus": 20, "share": 10}
        assert told[side]["gpus"] <= 10
        assert told[side]["roles"]["prefill"]["limited_by"] == "budget"
    assert "10 of its 20 GPUs are this planner's" in run(*arguments, budget=gpu_budget())


def test_an_own_number_of_gpus_replaces_the_shared_budget() -> None:
    arguments = ("what-if", "q-dgd", "--budget-gpus", "40", "-o", "json")
    told = json.loads(run(*arguments, budget=gpu_budget()))
    assert told["now"]["shared_budget"]["share"] == 10
    assert told["then"]["shared_budget"] is None
    assert told["then"]["roles"]["prefill"]["limited_by"] is None
