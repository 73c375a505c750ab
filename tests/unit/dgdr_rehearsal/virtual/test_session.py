"""The controller's decision, told by lines."""

import json
from typing import Any

import pytest

from dgdr_api.graph import Role
from dgdr_planner.policy import Limits, Policy
from dgdr_rehearsal.virtual.session import Session, answer_line
from dgdr_rehearsal.virtual.window import BadWindow, read_window
from support.planning import POLICY, PROFILE, policy

LOAD = {"isl_mean": 2048, "osl_mean": 128, "ttft_ms": 250, "itl_ms": 19, "request_duration_s": 3}


def session(which: Policy = POLICY) -> Session:
    return Session(which, PROFILE, "q")


def line(t_s: float | None, requests: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "t_s": t_s,
        "window_s": 15,
        "requests": requests,
        "completed": requests,
        **(LOAD if requests else dict.fromkeys(LOAD)),
        "prefill": {"ready": 1},
        "decode": {"ready": 1},
        **changes,
    }


def tell(on: Session, told: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(answer_line(on, json.dumps(told).encode()))
    return answer


def test_more_load_takes_more_replicas_and_says_why() -> None:
    answer = tell(session(), line(15, 300))
    assert answer["prefill"] > 1
    assert answer["reachable"] is True
    assert answer["forecast_rate_per_s"] >= 20.0
    assert f"prefill goes from 1 to {answer['prefill']}" in answer["reason"]
    assert "mean TTFT <= 300 ms" in answer["reason"]


def test_an_answer_has_exactly_these_keys() -> None:
    assert list(tell(session(), line(15, 30))) == [
        "prefill",
        "decode",
        "reason",
        "binding",
        "forecast_rate_per_s",
        "reachable",
        "decision_id",
    ]


def test_decisions_are_counted_by_answers_not_by_lines() -> None:
    on = session()
    told = [tell(on, line(15, 30)), tell(on, {"t_s": 30, "requests": -1}), tell(on, line(45, 30))]
    assert [answer.get("decision_id") for answer in told] == [1, None, 2]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ({"requests": None}, "requests is not known"),
        ({"requests": 0, "completed": None}, "completed is not known"),
        ({"prefill": None}, "prefill is not known"),
        ({"decode": {"ready": None}}, "decode.ready is not known"),
        ({"decode": {"ready": 1, "pending": None}}, "decode.pending is not known"),
        ({"t_s": None}, "t_s is not known"),
    ],
)
def test_what_is_not_known_changes_nothing(missing: dict[str, Any], said: str) -> None:
    on = session()
    tell(on, line(15, 30, prefill={"ready": 3}, decode={"ready": 2}))
    answer = tell(on, line(30, 3000, prefill={"ready": 3}, decode={"ready": 2}) | missing)
    assert (answer["prefill"], answer["decode"]) == (3, 2)
    assert answer["reason"].startswith("Nothing is changed: ")
    assert said in answer["reason"]
    assert (answer["binding"], answer["reachable"]) == (None, None)


def test_replicas_that_nobody_ever_knew_are_not_made_up() -> None:
    answer = tell(session(), line(15, 30, prefill=None))
    assert (answer["prefill"], answer["decode"]) == (None, 1)


def test_pending_replicas_are_not_asked_for_twice() -> None:
    on = session()
    asked = tell(on, line(15, 300))["prefill"]
    again = tell(on, line(30, 300, prefill={"ready": 1, "pending": asked - 1}))
    assert again["prefill"] == asked


def test_ten_idle_minutes_lead_to_the_minimum() -> None:
    on, replicas = session(policy(max_step_down=1)), {"prefill": 3, "decode": 3}
    for step in range(1, 41):
        told = {role: {"ready": ready} for role, ready in replicas.items()}
        answer = tell(on, line(15 * step, 0, **told))
        replicas = {"prefill": answer["prefill"], "decode": answer["decode"]}
    assert replicas == {"prefill": 1, "decode": 1}
    assert "no requests" in answer["reason"]


def test_answers_that_still_finish_hold_the_replicas_although_nothing_arrives() -> None:
    on = session(policy(stabilization_s=0))
    tell(on, line(15, 0, prefill={"ready": 4}, decode={"ready": 4}))
    answer = tell(on, line(30, 0, completed=5, prefill={"ready": 4}, decode={"ready": 4}))
    assert (answer["prefill"], answer["decode"]) == (4, 4)


def test_the_time_to_start_is_learned_from_pending_to_ready() -> None:
    on = session()
    tell(on, line(15, 300))
    tell(on, line(30, 300, prefill={"ready": 1, "pending": 2}))
    for t_s in range(45, 135, 15):
        tell(on, line(t_s, 300, prefill={"ready": 1, "pending": 2}))
    assert on.startup_s is None
    tell(on, line(135, 300, prefill={"ready": 3}))
    assert on.startup_s == pytest.approx(112.5, abs=15)


@pytest.mark.parametrize("t_s", [15, 10])
def test_time_goes_forward(t_s: float) -> None:
    on = session()
    first = tell(on, line(15, 30))
    with pytest.raises(BadWindow, match=f"t_s is {t_s}, but the last window ended at 15"):
        on.answer(read_window(json.dumps(line(t_s, 30))))
    assert tell(on, line(30, 30))["decision_id"] == first["decision_id"] + 1


def test_a_shadow_tells_what_it_would_do_and_keeps_what_is_there() -> None:
    answer = tell(session(policy(shadow=True)), line(15, 300))
    assert (answer["prefill"], answer["decode"]) == (1, 1)
    assert "prefill would go from 1 to " in answer["reason"]


def test_a_suspended_planner_holds_and_says_so() -> None:
    answer = tell(session(policy(suspended=True)), line(15, 300))
    assert (answer["prefill"], answer["decode"]) == (1, 1)
    assert "spec.suspend is true" in answer["reason"]


ONE_TO_NINE = Limits(fewest=1, most=9)


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ((Role.WORKER,), {"worker": {"ready": 1}}),
        ((Role.PREFILL,), {"prefill": {"ready": 1}, "decode": None}),
        ((Role.DECODE,), {"decode": {"ready": 1}, "prefill": None}),
    ],
)
def test_an_answer_carries_exactly_the_scaled_roles(
    roles: tuple[Role, ...], told: dict[str, Any]
) -> None:
    on = session(policy(limits=dict.fromkeys(roles, ONE_TO_NINE)))
    answer = tell(on, line(15, 150, **told))
    carried = [name for name in ("prefill", "decode", "worker") if name in answer]
    assert carried == [str(role) for role in roles]
    assert answer[carried[0]] > 1


def test_terminating_replicas_count_against_the_budget() -> None:
    on = session(policy(budget_gpus=4))
    busy = tell(on, line(15, 600, prefill={"ready": 1, "terminating": 2}))
    assert busy["prefill"] + busy["decode"] + 2 <= 4
    free = tell(on, line(30, 600))
    assert 2 < free["prefill"] + free["decode"] <= 4


def test_gpus_of_a_replica_count_against_the_budget() -> None:
    on = session(policy(budget_gpus=8))
    answer = tell(on, line(15, 600, prefill={"ready": 1, "gpus": 4}))
    assert 4 * answer["prefill"] + answer["decode"] <= 8


def test_a_budget_needs_to_know_what_stops() -> None:
    on = session(policy(budget_gpus=8))
    answer = tell(on, line(15, 600, prefill={"ready": 1, "terminating": None}))
    assert (answer["prefill"], answer["decode"]) == (1, 1)
    assert "prefill.terminating is not known" in answer["reason"]


def test_prompts_beyond_the_profile_are_said_to_be() -> None:
    answer = tell(session(), line(15, 30, isl_mean=60_000))
    assert "lies outside of what was measured" in answer["reason"]


def test_an_unreachable_target_is_said_to_be() -> None:
    answer = tell(session(), line(15, 30, isl_mean=8000))
    assert answer["reachable"] is False
    assert "TTFT <= 300 ms cannot be met" in answer["reason"]


def test_the_same_lines_get_the_same_answers() -> None:
    lines = [line(15 * step, 30 * step) for step in range(1, 8)]
    first, second = session(), session()
    assert [tell(first, one) for one in lines] == [tell(second, one) for one in lines]


def test_a_failure_of_ours_is_an_answer_and_the_session_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken:
        transfer = None

        @property
        def prefill(self) -> None:
            raise RuntimeError("no curve")

    on = Session(POLICY, Broken(), "q")  # type: ignore[arg-type]
    answer = tell(on, line(15, 30))
    assert "could not be answered (RuntimeError: no curve)" in answer["error"]
    assert "could not be answered" in caplog.text
    assert tell(on, line(15, None))["decision_id"] == 1
