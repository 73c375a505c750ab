"""What is shown follows from what was read, and from nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_api.effective import effective
from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.dgdr_v1beta1 import DynamoGraphDeploymentRequest
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.points import Point, PointKind, Source
from dgdr_cli.candidates import candidates_of
from dgdr_cli.found import Found
from dgdr_cli.report import Report
from dgdr_cli.view import deployment_of, message_of, planner_of, view_of

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def request(**status: Any) -> DynamoGraphDeploymentRequest:
    return DynamoGraphDeploymentRequest.parse(
        {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentRequest",
            "metadata": {"name": "qwen", "namespace": "team"},
            "spec": {
                "model": "m",
                "backend": "vllm",
                "workload": {"isl": 2048, "osl": 128},
                "sla": {"ttft": 170, "itl": 20},
            },
            "status": status,
        }
    )


def condition(type_: str, status: str, message: str = "") -> dict[str, str]:
    return {
        "type": type_,
        "status": status,
        "reason": "R",
        "message": message,
        "lastTransitionTime": "2026-03-01T12:00:00Z",
    }


def point(candidate: str, kind: PointKind, minute: int = 0, **values: Any) -> Point:
    given = {
        "key": f"{candidate}{kind}{minute}{values}"[:64],
        "isl": 2048,
        "osl": 128,
        "concurrency": 1,
        "requests": 8,
        "completed": 8,
        "gpus": 1,
        "source": Source.MEASURED,
        "started_at": NOON + timedelta(minutes=minute),
        "wall_s": 12.0,
    }
    return Point(candidate=candidate, kind=kind, **{**given, **values})


def prefill(candidate: str, ttft_ms: float, **values: Any) -> Point:
    return point(candidate, PointKind.PREFILL, ttft_ms=ttft_ms, **values)


def decode(candidate: str, itl_ms: float, tokens_per_s: float, **values: Any) -> Point:
    return point(
        candidate, PointKind.DECODE, itl_ms=itl_ms, output_tokens_per_s=tokens_per_s, **values
    )


WANTED = effective(request().spec)
NO_REPORT = Report()
REPORT = Report.model_validate(
    {
        "version": 1,
        "slaReachable": False,
        "reason": "the nearest has TTFT 212 ms",
        "selection": {"prefill": {"candidate": "tp2"}, "decode": {"candidate": "tp1"}},
        "candidates": [{"id": "tp1"}, {"id": "tp4", "rejected": "no node has 4 GPUs"}],
        "infeasible": [{"label": "TP=8", "reason": "an engine of 8 GPUs does not fit"}],
    }
)


def test_a_candidate_is_judged_at_the_prompt_length_of_the_workload() -> None:
    points = [prefill("tp1", 60.0, isl=512), prefill("tp1", 212.0), prefill("tp1", 390.0, isl=4096)]
    (row,) = candidates_of(points, WANTED, NO_REPORT)
    assert (row.ttft_ms, row.missed) == (212.0, ("TTFT",))


def test_a_candidate_is_judged_at_its_most_productive_point_within_the_target() -> None:
    points = [decode("tp2", 12.0, 80.0), decode("tp2", 18.0, 900.0), decode("tp2", 26.0, 1400.0)]
    (row,) = candidates_of(points, WANTED, NO_REPORT)
    assert (row.itl_ms, row.output_tokens_per_s_per_gpu, row.missed) == (18.0, 900.0, ())


def test_a_candidate_without_a_point_within_the_target_shows_its_fastest() -> None:
    (row,) = candidates_of(
        [decode("tp1", 31.0, 500.0), decode("tp1", 25.0, 90.0)], WANTED, NO_REPORT
    )
    assert (row.itl_ms, row.missed) == (25.0, ("ITL",))


def test_what_was_not_measured_is_neither_zero_nor_missed() -> None:
    (row,) = candidates_of([prefill("tp2", 120.0)], WANTED, NO_REPORT)
    assert (row.itl_ms, row.output_tokens_per_s_per_gpu, row.missed) == (None, None, ())


def test_an_estimate_is_never_shown_as_measured() -> None:
    points = [prefill("tp2", 120.0), decode("tp2", 12.0, 80.0, source=Source.ESTIMATED)]
    (row,) = candidates_of(points, WANTED, NO_REPORT)
    assert row.estimated


def test_candidates_come_in_the_order_in_which_they_were_measured() -> None:
    points = [
        prefill("tp4", 75.0, minute=9),
        prefill("tp1", 212.0),
        prefill("tp2", 124.0, minute=5),
    ]
    rows = candidates_of(points, WANTED, REPORT)
    assert [(row.name, row.picked_for) for row in rows] == [
        ("tp1", ("decode",)),
        ("tp2", ("prefill",)),
        ("tp4", ()),
    ]


def test_a_report_says_what_a_user_who_expected_something_else_must_read() -> None:
    assert REPORT.remarks() == (
        "Targets not reached: the nearest has TTFT 212 ms",
        "tp4 given up: no node has 4 GPUs",
        "TP=8 not tried: an engine of 8 GPUs does not fit",
    )
    assert NO_REPORT.remarks() == ()


def test_an_aggregated_candidate_has_one_engine() -> None:
    points = [
        prefill("sglang-agg-dep2-n2", 120.0, gpus=2),
        decode("sglang-agg-dep2-n2", 12, 80, gpus=2),
    ]
    (row,) = candidates_of(points, WANTED, NO_REPORT)
    assert (row.name, row.gpus) == ("sglang aggregated DEP=2 on 2 nodes", 2)
    assert row.is_aggregated


@pytest.mark.parametrize(
    ("name", "label"),
    [("p-tp1", "TP=1"), ("pre-tep8", "prefill TEP=8"), ("vllm-dec-tp2", "vllm decode TP=2")],
)
def test_a_candidate_is_called_what_progress_and_report_call_it(name: str, label: str) -> None:
    (row,) = candidates_of([prefill(name, 120.0)], WANTED, NO_REPORT)
    assert row.name == label


def test_a_candidate_of_one_role_is_measured_when_that_role_is() -> None:
    rows = candidates_of([prefill("pre-tp1", 120), decode("dec-tp1", 12, 80)], WANTED, NO_REPORT)
    assert [row.measured for row in rows] == [True, True]
    (pair,) = candidates_of([prefill("p-tp1", 120.0)], WANTED, NO_REPORT)
    assert not pair.measured


def test_a_target_for_the_whole_request_is_missed_by_what_the_first_token_leaves() -> None:
    wanted = replace(WANTED, ttft_ms=None, itl_ms=None, e2e_latency_ms=2000)
    points = [prefill("p-tp1", 730.0), decode("p-tp1", 9.9, 50), decode("p-tp1", 14.0, 900)]
    (row,) = candidates_of(points, wanted, NO_REPORT)
    assert (row.itl_ms, row.missed) == (9.9, ())
    (late,) = candidates_of([prefill("p-tp1", 730.0), decode("p-tp1", 14, 900)], wanted, NO_REPORT)
    assert late.missed == ("ITL",)


def test_gpus_are_those_of_both_engines_of_the_pair() -> None:
    points = [prefill("tp2", 120.0, gpus=2), decode("tp2", 12.0, 80.0, gpus=2)]
    (row,) = candidates_of(points, WANTED, NO_REPORT)
    assert row.gpus == 4


@pytest.mark.parametrize(
    ("status", "message"),
    [
        pytest.param({}, "", id="nothing is said yet"),
        pytest.param(
            {
                "phase": "Profiling",
                "conditions": [
                    condition("Profiling", "False", "candidate 2 of 3"),
                    condition("Succeeded", "False", "Profiling"),
                ],
            },
            "candidate 2 of 3",
            id="progress while profiling",
        ),
        pytest.param(
            {"phase": "Deployed", "conditions": [condition("Succeeded", "True", "all is up")]},
            "all is up",
            id="the sum at the end",
        ),
        pytest.param(
            {
                "phase": "Pending",
                "conditions": [
                    condition("Validation", "False", "no such claim"),
                    condition("Profiling", "False", "not started"),
                ],
            },
            "no such claim",
            id="the first step that does not hold",
        ),
    ],
)
def test_the_message_is_the_sentence_that_matters_now(status: dict[str, Any], message: str) -> None:
    assert message_of(request(**status).status) == message


def test_a_message_that_would_fill_the_screen_is_cut() -> None:
    long = request(phase="Failed", conditions=[condition("Succeeded", "False", "x" * 5000)])
    message = view_of(Found(request=long)).message
    assert len(message) < 600
    assert "kubectl describe" in message


def test_a_request_that_nobody_has_looked_at_is_pending() -> None:
    view = view_of(Found(request=request()))
    assert (view.phase, view.candidates, view.deployment, view.planner) == (
        "Pending",
        (),
        None,
        None,
    )


def test_the_profiling_phase_is_shown_only_while_profiling() -> None:
    view = view_of(Found(request=request(phase="Deployed", profilingPhase="Done")))
    assert view.profiling_phase is None


def test_targets_of_a_whole_request_are_said_as_such() -> None:
    spec = {"model": "m", "sla": {"ttft": None, "itl": None, "e2eLatency": 9000}}
    found = request().model_copy(update={"spec": request().spec.model_validate(spec)})
    assert view_of(Found(request=found)).targets == "a whole request within 9000 ms"


def test_replicas_without_a_status_are_unknown_not_zero() -> None:
    deployment = DynamoGraphDeployment.parse(
        {
            "metadata": {"name": "qwen-dgd"},
            "spec": {
                "components": [
                    {"name": "decode", "type": "decode", "replicas": 3},
                    {"name": "prefill", "type": "prefill"},
                    {"name": "group", "type": "worker"},
                ]
            },
            "status": {
                "components": {"decode": {"readyReplicas": 2}, "group": {"availableReplicas": 1}}
            },
        }
    )
    shown = deployment_of(deployment)
    assert shown is not None
    assert [(r.name, r.ready, r.wanted) for r in shown.roles] == [
        ("decode", 2, 3),
        ("prefill", None, 1),
        ("group", 1, 1),
    ]


def planner(**status: Any) -> SLAPlanner:
    bounds = {"max": 4}
    return SLAPlanner.parse(
        {
            "metadata": {"name": "qwen-dgd"},
            "spec": {
                "targetRef": {"name": "qwen-dgd"},
                "sla": {"ttftMs": 170, "itlMs": 20},
                "profile": {"configMapRef": {"name": "p"}},
                "roles": {"prefill": bounds, "decode": bounds},
            },
            "status": status,
        }
    )


@pytest.mark.parametrize(
    ("observed", "load"),
    [
        pytest.param(None, "no observation yet", id="nothing yet"),
        pytest.param({"knowledge": "Unknown"}, "load unknown", id="unknown is not zero"),
        pytest.param({"knowledge": "Idle"}, "load idle", id="idle"),
        pytest.param(
            {"knowledge": "Value", "requestsPerSecond": 12.0, "isl": 2058, "osl": 64},
            "12.00 requests/s; 2058 tokens in, 64 out",
            id="load",
        ),
    ],
)
def test_the_load_is_said_as_known(observed: dict[str, Any] | None, load: str) -> None:
    shown = planner_of(planner(**({"observed": observed} if observed else {})))
    assert shown is not None
    assert shown.load == load


def test_only_conditions_that_keep_a_planner_from_working_are_shown() -> None:
    shown = planner_of(
        planner(
            conditions=[
                condition("Ready", "True"),
                condition("Reconciling", "False"),
                condition("Stalled", "False"),
                condition("SLAReachable", "Unknown", "no request was seen yet"),
                condition("MetricsAvailable", "False", "Prometheus does not answer"),
                condition("ScalingLimited", "True", "16 GPUs are the budget"),
            ]
        )
    )
    assert shown is not None
    assert [trouble.split("=")[0] for trouble in shown.troubles] == [
        "MetricsAvailable",
        "ScalingLimited",
    ]


def test_a_decision_shows_the_roles_that_change() -> None:
    record = {
        "time": "2026-03-01T12:00:00Z",
        "reason": "ScaledUp",
        "message": "12 requests/s",
        "prefill": {"from": 1, "to": 3},
        "decode": {"from": 1, "to": 1},
    }
    shown = planner_of(planner(decisions=[record]))
    assert shown is not None
    assert shown.decisions[0].changes == "prefill 1 → 3"


def test_a_decision_about_aggregated_workers_shows_them() -> None:
    record = {
        "time": "2026-01-01T12:00:00Z",
        "reason": "ScaledUp",
        "message": "load",
        "worker": {"from": 2, "to": 5},
    }
    shown = planner_of(planner(decisions=[record]))
    assert shown is not None
    assert shown.decisions[0].changes == "worker 2 → 5"
