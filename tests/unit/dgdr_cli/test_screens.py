"""The planner's screens as they look at 80 and at 120 columns; each golden was looked at."""

from dataclasses import replace

from dgdr_cli.planner.case import Overrides, case_of, changed
from dgdr_cli.planner.explained import explained
from dgdr_cli.planner.plan import plan
from dgdr_cli.planner.screens import explanation_screen, plan_screen, what_if_screen
from dgdr_cli.planner.slo import Kept, TargetKept
from dgdr_cli.planner.slo_screen import slo_screen
from dgdr_cli.planner.what_if import what_if
from dgdr_cli.render import render
from support.planner_status import found, gpu_budget, planner
from support.planning import PROFILE, at
from support.screens import check_screen
from unit.dgdr_cli.test_render import VIEW

NOON = at(12 * 3600 + 30)
SLA = {"ttftMs": 300, "itlMs": 25, "percentile": "p95"}
TIGHT = Overrides(ttft_ms=250, budget_gpus=12)


def test_explain() -> None:
    check_screen("explain", explanation_screen(explained(planner(sla=SLA), NOON)))


def test_explain_under_a_shared_budget() -> None:
    one = found(shared=gpu_budget(), sla=SLA, budget={"ref": "team"})
    check_screen("explain-shared", explanation_screen(explained(one.planner, NOON, one.budget)))


def test_slo() -> None:
    kept = TargetKept(within=0.9821, left=0.64)
    windows = [
        Kept(window="1 h", window_s=3600, known_s=3600.0, requests=66_240.0, failed=12.0,
             ttft=kept, itl=TargetKept(within=0.9998, left=0.996)),
        Kept(window="1 d", window_s=86_400, known_s=70_000.0, requests=1_402_113.0, failed=96.0,
             ttft=TargetKept(within=0.964, left=0.28), itl=TargetKept(within=0.9997, left=0.99)),
        Kept(window="7 d", window_s=604_800, known_s=70_000.0, requests=9_611_702.0,
             failed=1205.0, ttft=TargetKept(within=0.9492, left=-0.02), itl=None),
        Kept(window="30 d", window_s=2_592_000, trouble="Prometheus at http://prometheus:9090"
             " answered 422: query processing would load too many samples into memory"),
    ]  # fmt: skip
    check_screen("slo", slo_screen(planner(sla=SLA), windows, recorded=False))


def test_plan() -> None:
    case = case_of(planner(sla=SLA), PROFILE, Overrides())
    check_screen("plan", plan_screen(case, plan(case)))


def test_plan_that_does_not_meet_its_targets() -> None:
    case = case_of(planner(sla=SLA), PROFILE, replace(TIGHT, budget_gpus=8))
    check_screen("plan-short", plan_screen(case, plan(case)))


def test_what_if() -> None:
    now = case_of(planner(sla=SLA), PROFILE, Overrides())
    check_screen("what-if", what_if_screen("demo/q-dgd", what_if(now, changed(now, TIGHT))))


def test_status() -> None:
    check_screen("status", render(VIEW))
