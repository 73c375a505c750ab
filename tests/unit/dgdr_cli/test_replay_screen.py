"""What ``replay`` shows: every request in its headline, and what to set beside what is set."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dgdr_api.graph import Role
from dgdr_cli.planner.rehearsal_screen import rehearsal_object, rehearsal_screen
from dgdr_cli.planner.rehearsals import Against, Answer, Load, Rehearsal
from dgdr_perf.classic import ClassicProfile
from dgdr_perf.simulator.arrivals import Requests
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.simulator.outcome import Timeline
from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.policy import Limits
from dgdr_rehearsal.replay.advice import Advice
from dgdr_rehearsal.replay.rehearsal import OfAll, Rehearsed, World
from support.planning import DECODE, POLICY, PREFILL, PROFILE
from support.screens import check_screen, drawn

MINUTES = 10
REQUESTS = 12_000
HOPELESS = 312
GPUS = {Role.PREFILL: 1, Role.DECODE: 2}
TARGETS = Targets(ttft_ms=500, itl_ms=20, percentile=Percentile.P95)


def timeline(replicas: int) -> Timeline:
    none = np.zeros(1, dtype=np.int64)
    return Timeline(at_s=np.zeros(1), ready=none + replicas, pending=none, terminating=none)


def run(controller: str, in_time: float, gpu_hours: float, **changes: Any) -> Rehearsed:
    possible = (REQUESTS - HOPELESS) / REQUESTS
    late = np.zeros(MINUTES)
    late[3] = round((possible - in_time) * REQUESTS)
    found = Rehearsed(
        controller=controller,
        start_up_s=82.0,
        requests=REQUESTS,
        hopeless=HOPELESS,
        failed=0,
        attained=in_time / possible,
        ttft_attained=in_time / possible,
        itl_attained=1.0,
        of_all=OfAll(attained=in_time, ttft=in_time, itl=1.0),
        gpu_hours=gpu_hours,
        actions=12,
        most={Role.PREFILL: 5, Role.DECODE: 4},
        timelines={Role.PREFILL: timeline(2), Role.DECODE: timeline(4)},
        late=late,
    )
    return replace(found, **changes)


def rehearsal(**policy: Any) -> Rehearsal:
    requests = Requests.of(np.linspace(0, 60 * MINUTES, REQUESTS), 2048, 128)
    limits = {Role.PREFILL: Limits(fewest=1, most=8), Role.DECODE: Limits(fewest=1, most=8)}
    return Rehearsal(
        name="team/qwen-dgd",
        load=Load(
            requests=requests,
            source="until 2026-01-02 12:00 UTC, of Prometheus at http://prometheus:9090",
            unknown=0.021,
        ),
        world=World(
            requests=requests,
            engine=Engine.of(PROFILE),
            profile=PROFILE,
            targets=TARGETS,
            gpus=GPUS,
            initial=GPUS,
            options=Options(interval_s=60.0, duration_s=60.0 * MINUTES, start_up_s=82.0),
        ),
        policy=replace(POLICY, targets=TARGETS, limits=limits, **{"budget_gpus": 16} | policy),
        against=tuple(Against),
        classic=ClassicProfile.of(PREFILL, DECODE),
    )


def answer(**changes: Any) -> Answer:
    best = run("ours", 0.948, 6.1)
    found = Answer(
        start_up_s=82.0,
        runs=(
            run("ours", 0.921, 5.9),
            run("static peak", 0.966, 12.3, actions=0),
            run("hpa-like", 0.887, 7.05, failed=14),
            run("classic", 0.431, 4.8, actions=31),
            run("oracle", 0.9605, 5.75),
        ),
        advice=Advice(
            fewest={Role.PREFILL: 2, Role.DECODE: 1}, budget_gpus=14, goal=0.95, run=best
        ),
    )
    return replace(found, **changes)


def test_a_rehearsal_is_a_screen_that_fits() -> None:
    check_screen("replay", rehearsal_screen(rehearsal(), [answer()]))


def test_causes_are_a_screen_that_fits() -> None:
    check_screen("replay-why", rehearsal_screen(rehearsal(), [answer()], with_why=True))


def test_the_headline_counts_every_request() -> None:
    text = " ".join(drawn(rehearsal_screen(rehearsal(), [answer()]), 400).split())
    assert "92.1 % of all 12,000 requests in time for 5.90 GPU-hours" in text
    assert "312 requests (2.6 %) would miss a target even alone" in text


def test_all_but_one_request_is_not_all() -> None:
    nearly = run("ours", 1 - 1 / REQUESTS, 5.9)
    text = drawn(rehearsal_screen(rehearsal(), [answer(runs=(nearly,))]), 120)
    assert "99.9 % of all 12,000 requests" in text


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"budget_gpus": None}, "decode 1 to 8, no budget"),
        ({"budget_gpus": None, "budget_ref": "team"}, "The shared budget team is not counted"),
    ],
)
def test_what_limits_is_said(policy: dict[str, Any], said: str) -> None:
    assert said in drawn(rehearsal_screen(rehearsal(**policy), [answer()]), 120)


def test_a_goal_that_nothing_attains_is_said() -> None:
    short = replace(answer().advice, run=run("ours", 0.81, 9.0))
    text = " ".join(drawn(rehearsal_screen(rehearsal(), [answer(advice=short)]), 120).split())
    assert "no min attains 95 %: 83.1 % is the most within max" in text


def test_a_program_reads_shares_of_all_requests_and_of_those_that_can_be_in_time() -> None:
    told = rehearsal_object(rehearsal(), [answer()], with_why=True)
    ours, oracle = told["runs"][0], told["runs"][-1]
    assert ours["of_all"]["attained"] == 0.921
    assert ours["attained"] == pytest.approx(0.921 / 0.974)
    assert sum(ours["why"]["points"].values()) == pytest.approx(7.9, abs=0.01)
    assert "why" not in oracle
    assert told["to_set"] == [
        {
            "start_up_s": 82.0,
            "min": {"prefill": 2, "decode": 1},
            "budget_gpus": 14,
            "attains": True,
            "attained": pytest.approx(0.948 / 0.974),
            "gpu_hours": 6.1,
        }
    ]
