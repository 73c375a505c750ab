"""Why a planner has these replicas, and what comes next: never a sentence against a condition."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dgdr_cli.planner.outlook import Event, in_text, outlook
from support.planner_status import STATUS, planner

NOON = datetime(2026, 1, 1, 12, 0, 30, tzinfo=UTC)
READY = STATUS["conditions"][0]
WITHIN = {**READY, "type": "ScalingLimited", "status": "False", "message": "no limit"}
SHORT = {
    **WITHIN,
    "status": "True",
    "message": "prefill needs 9 replicas, spec.roles allows 8; decode needs 5 replicas, one step"
    " goes to 4",
}


def one(
    replicas: int,
    needed: int,
    exact: float | None = None,
    *,
    conditions: tuple[dict[str, Any], ...] = (READY, WITHIN),
    role: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    correction: float = 1.0,
    **spec: Any,
) -> Any:
    """The outlook of a planner that scales prefill."""
    seen = {"role": "prefill", "replicas": replicas, "readyReplicas": replicas}
    capacity = [{"role": "prefill", "needed": exact, "correction": correction}]
    told = STATUS | {
        "roles": [{**seen, "desiredReplicas": needed, **(role or {})}],
        "capacity": capacity,
        "conditions": list(conditions),
        **(status or {}),
    }
    return outlook(planner(told, **spec), NOON)


def test_a_role_that_is_short_is_so_for_what_scaling_limited_says() -> None:
    (prefill,) = one(8, 9, 8.6, conditions=(READY, SHORT)).roles
    assert prefill.no_more == "prefill needs 9 replicas, spec.roles allows 8"
    assert prefill.no_fewer == "more are needed"


@pytest.mark.parametrize(
    ("replicas", "needed", "exact", "no_more", "no_fewer"),
    [
        (6, 6, 5.6, "5.60 are needed", "5 would not carry 5.60 with room to spare"),
        (
            6,
            6,
            6.1,
            "6.10 are needed: no more than 6 and the noise of counting",
            "5 would not carry 6.10 with room to spare",
        ),
        (1, 1, 0.4, "0.40 are needed", "roles.prefill.min is 1"),
        (
            5,
            6,
            5.6,
            "6 are needed, 5 are there: the next decision asks for them",
            "more are needed",
        ),
    ],
)
def test_a_role_says_why_not_up_and_why_not_down(
    replicas: int, needed: int, exact: float, no_more: str, no_fewer: str
) -> None:
    (prefill,) = one(replicas, needed, exact).roles
    assert (prefill.no_more, prefill.no_fewer) == (no_more, no_fewer)


def test_more_than_any_number_could_meet_is_what_sla_reachable_says() -> None:
    unmet = {**WITHIN, "type": "SLAReachable", "message": "whenUnreachable Hold: prefill stays"}
    (prefill,) = one(3, 3, 5.2, conditions=(READY, WITHIN, unmet)).roles
    assert prefill.no_more == "5.20 are needed, but no number meets the targets: see SLAReachable"


def test_what_is_kept_though_fewer_would_do_is_not_said_to_be_needed() -> None:
    (prefill,) = one(4, 4, 0.9).roles
    assert prefill.no_fewer.startswith("0.90 are needed; none go before 10 windows were seen")


@pytest.mark.parametrize(("policy", "told"), [("Queueing", True), ("Classic", False)])
def test_only_who_looks_between_ticks_says_so(policy: str, told: bool) -> None:
    ahead = one(3, 3, 2.5, interval="60s", sizing={"policy": policy})
    assert ("answered in between" in ahead.coming[0].text) is told


def test_late_requests_are_named_where_they_raise_the_need() -> None:
    (prefill,) = one(6, 6, 5.6, correction=1.18).roles
    assert prefill.no_fewer.endswith("1.18 x the curves as requests were late")


def test_patience_ends_at_a_tick_and_takes_one_step() -> None:
    since = {"belowSince": "2026-01-01T12:00:00Z"}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60, "maxStep": 1}}
    ahead = one(6, 3, 2.7, role=since, interval="15s", behavior=behavior)
    (prefill,) = ahead.roles
    assert prefill.no_fewer == "3 are enough since 12:00:00; they go when that has lasted 60 s"
    (goes,) = (event for event in ahead.coming if "goes" in event.text)
    assert goes.text == "prefill goes from 6 to 5, if no more is needed"
    end = datetime(2026, 1, 1, 12, 1, tzinfo=UTC)
    assert end < goes.at <= end + timedelta(seconds=16)


def test_an_idle_target_may_be_behind_an_outage() -> None:
    (prefill,) = one(4, 4, status={"observed": {"knowledge": "Idle"}}).roles
    assert prefill.no_fewer.startswith("idle for less than ")


def test_a_start_is_expected_from_the_decision_that_asked_for_it() -> None:
    ahead = one(6, 6, 5.6, role={"readyReplicas": 4})
    (start,) = (event for event in ahead.coming if "starting" in event.text)
    assert start.text == (
        "prefill: 2 starting, then 6 are ready (asked for at 11:57:00, a start takes 82 s)"
    )
    assert in_text(start, NOON) == "11:58:22, 2 min overdue"


def test_no_start_is_told_where_nobody_reports_what_is_ready() -> None:
    ahead = one(6, 6, 5.6, role={"readyReplicas": None})
    assert not [event for event in ahead.coming if "starting" in event.text]


def test_a_start_that_nobody_asked_for_has_no_time() -> None:
    ahead = one(6, 6, 5.6, role={"readyReplicas": 4}, status={"decisions": []})
    (start,) = (event for event in ahead.coming if "starting" in event.text)
    assert in_text(start, NOON) == "unknown"


def test_a_number_of_a_person_is_left_alone_until_then() -> None:
    ahead = one(3, 5, 4.2, role={"yieldsUntil": "2026-01-01T12:25:00Z"})
    (prefill,) = ahead.roles
    assert prefill.no_more == prefill.no_fewer == "set by hand, left alone until 12:25:00"
    assert ahead.coming[-1].text == "prefill follows the load again"


@pytest.mark.parametrize(
    ("ready", "spec", "held"),
    [
        ({"status": "False", "message": "nothing is changed: x"}, {}, "nothing is changed: x"),
        ({}, {"suspend": True}, "spec.suspend is true: replicas stay as they are"),
    ],
)
def test_a_planner_that_changes_nothing_says_one_thing(
    ready: dict[str, Any], spec: dict[str, Any], held: str
) -> None:
    since = {"belowSince": "2026-01-01T11:00:00Z", "readyReplicas": 5}
    ahead = one(6, 3, 2.7, conditions=({**READY, **ready}, SHORT), role=since, **spec)
    assert (ahead.held, ahead.roles) == (held, ())
    assert not any("goes" in event.text or "decision" in event.text for event in ahead.coming)
    assert any("starting" in event.text for event in ahead.coming)


def test_a_planner_that_never_decided_says_so() -> None:
    ahead = outlook(planner({}), NOON)
    assert (ahead.held, ahead.roles) == ("nothing was decided yet", ())


def test_a_status_that_no_running_planner_would_leave_is_called_old() -> None:
    assert outlook(planner(), NOON).silent is None
    late = outlook(planner(), NOON + timedelta(minutes=12))
    assert late.silent is not None
    assert late.silent.startswith("the status is 12 min old")
    assert (late.roles, late.coming) == ((), ())


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(24, "12:00:54, in 24 s"), (600, "12:10:30, in 10 min"), (-38, "11:59:52, 38 s overdue")],
)
def test_times_are_told_by_the_clock_and_from_now(seconds: float, said: str) -> None:
    assert in_text(Event(at=NOON + timedelta(seconds=seconds), text=""), NOON) == said
