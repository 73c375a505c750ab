"""The explanation of a status: what is unknown reads unknown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_cli.planner.explained import ago, explained
from support.planner_status import STATUS, planner

NOON = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)


def test_the_facts_are_sentences_with_numbers() -> None:
    told = explained(planner(), NOON)
    assert told.title == "demo/q-dgd"
    assert told.targets == "mean TTFT <= 300 ms, mean ITL <= 25 ms"
    assert told.observed == (
        "18.40 requests/s, ISL 2048, OSL 128, TTFT 240 ms, ITL 19.2 ms, 30 s ago"
    )
    assert told.planned_for.startswith("22.50 requests/s, ISL 2048, OSL 128 (quantile 0.9")
    assert "by HoltWinters, 97 s ahead" in told.planned_for
    assert told.startup == "82 s, measured here"
    assert told.attainment == "TTFT 98.2 %, ITL 100.0 % of 66,240 requests of the last hour"


def test_roles_say_what_is_there_what_is_needed_and_why() -> None:
    prefill, decode = explained(planner(), NOON).roles
    assert (prefill.replicas, prefill.needed, prefill.limits) == ("5/6 ready", "6 (5.60)", "1-8")
    assert (prefill.expected, prefill.bound_by, prefill.profile) == (
        "TTFT 281 ms",
        "ttft",
        "inside",
    )
    assert (decode.replicas, decode.profile) == ("4/4 ready +1 stopping", "beyond")
    assert decode.gpus == "10"


@pytest.mark.parametrize(
    "reported",
    [
        {"componentKind": "Deployment", "replicas": 6, "readyReplicas": 6},
        {"componentKind": "PodCliqueScalingGroup", "replicas": 6, "availableReplicas": 6},
    ],
)
def test_ready_replicas_are_those_that_the_target_has_now(reported: dict[str, Any]) -> None:
    components = [{"name": name, "type": name, "replicas": 1} for name in ("prefill", "decode")]
    target = DynamoGraphDeployment.parse(
        {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeployment",
            "metadata": {"name": "q-dgd", "namespace": "demo"},
            "spec": {"components": components},
            "status": {"components": {"prefill": reported}},
        }
    )
    prefill, decode = explained(planner(), NOON, target=target).roles
    assert prefill.replicas == "6/6 ready"
    assert decode.replicas == "4/4 ready +1 stopping"  # nobody reported decode's pods


@pytest.mark.parametrize("kind", ["ScalingLimited", "SLAReachable"])
def test_what_was_said_of_a_plan_is_no_news_where_none_is_made(kind: str) -> None:
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": "MetricsUnavailable",
        "message": "nothing is changed: no fresh samples",
        "lastTransitionTime": "2026-01-01T11:59:00Z",
    }
    conditions = [ready, *STATUS["conditions"][1:]]
    told = explained(planner(STATUS | {"conditions": conditions}), NOON)
    (verdict,) = (one for one in told.verdicts if one.type == kind)
    assert verdict.message.startswith("when last planned: ")
    assert told.outlook.held == "nothing is changed: no fresh samples"
    assert told.outlook.roles == ()


def test_troubles_come_first_then_what_nobody_knows() -> None:
    told = explained(planner(), NOON).verdicts
    assert [verdict.type for verdict in told] == ["ScalingLimited", "SLAReachable", "Ready"]
    assert [verdict.trouble for verdict in told] == [True, False, False]


def test_a_planner_without_a_status_knows_nothing() -> None:
    told = explained(planner({}), NOON)
    assert told.observed == "no look yet"
    assert told.planned_for == "nothing was planned yet"
    assert told.startup == "unknown"
    assert told.attainment == "unknown: no request was counted"
    assert (told.roles, told.verdicts, told.decisions, told.shadow) == ((), (), (), None)


@pytest.mark.parametrize(
    ("observed", "said"),
    [
        ({"knowledge": "Idle"}, "idle: fresh samples say that nothing was asked"),
        ({"knowledge": "Unknown"}, "unknown: no fresh samples"),
        (
            {"knowledge": "Value", "requestsPerSecond": 2.0},
            "2.00 requests/s, ISL unknown, OSL unknown, TTFT unknown, ITL unknown",
        ),
    ],
)
def test_unknown_is_never_zero(observed: dict[str, Any], said: str) -> None:
    assert explained(planner({"observed": observed}), NOON).observed == said


def test_a_role_of_which_little_is_known_says_so() -> None:
    (role,) = explained(planner({"roles": [{"role": "decode"}]}), NOON).roles
    assert (role.replicas, role.needed) == ("?/? ready", "?")
    assert (role.expected, role.bound_by, role.profile, role.gpus) == ("unknown",) * 4


def test_a_shadow_says_what_active_would_have_cost() -> None:
    shadow = {"since": "2026-01-01T10:00:00Z", "gpuHours": 12.5, "actualGpuHours": 16.0}
    told = explained(planner(STATUS | {"shadow": shadow}, mode="Shadow"), NOON)
    assert told.mode.startswith("Shadow: decides, writes nothing")
    assert told.shadow == (
        "Active would have taken 12.50 GPU-hours instead of 16.00 since 2026-01-01 10:00 UTC"
    )


def test_a_suspended_planner_says_so() -> None:
    assert explained(planner(suspend=True), NOON).mode == "suspended"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s ago"), (90, "90 s ago"), (150, "2 min ago"), (7200, "2 h ago"), (3e5, "3 d ago")],
)
def test_ages_have_one_unit(seconds: float, said: str) -> None:
    assert ago(NOON - timedelta(seconds=seconds), NOON) == said
