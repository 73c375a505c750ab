"""Every decision over whole traces, as it was when the golden file was written.

Single rules have tests of their own; this one notices that many small steps changed what the
planner does. After an intended change: ``UPDATE_GOLDENS=1 pytest`` this file, read the difference.
"""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.planner_replay import stored
from bench.reference import reference_engine
from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch
from dgdr_perf.simulator.arrivals import Requests, poisson, sine
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.policy import Limits, Policy
from dgdr_rehearsal.replay.ours import Ours
from dgdr_rehearsal.replay.rehearsal import World, rehearse
from dgdr_rehearsal.replay.traces import multiplied

GOLDENS = Path(__file__).parents[2] / "golden" / "decisions"
# A unit of the last digit of what is written: where a search ends is no decision.
ROUNDED = 1e-5
SPLIT = {Role.PREFILL: 1, Role.DECODE: 1}
POLICY = Policy(
    targets=Targets(ttft_ms=500, itl_ms=10, percentile=Percentile.P95),
    limits={role: Limits(fewest=1, most=32) for role in SPLIT},
    interval_s=60.0,
    stabilization_s=300.0,
)


def azure() -> Requests:
    whole = stored("azure-code-2023.csv.gz")
    first = whole.arrival_s < 1200
    part = Requests.of(whole.arrival_s[first], whole.isl[first], whole.osl[first])
    return multiplied(part, 8, np.random.default_rng(1))


def swinging() -> Requests:
    rng = np.random.default_rng(2)
    return sine(rng, 3, 20, period_s=480, duration_s=1440, isl=3000, osl=200)


def stopping() -> Requests:
    """A load that stops for six minutes, and comes back at twice the rate."""

    def rate_per_s(at_s: Any) -> Any:
        return np.select([at_s < 600, at_s < 960], [8.0, 0.0], 16.0)

    rng = np.random.default_rng(3)
    drawn = poisson(rng, rate_per_s, 1500, peak_per_s=16.0)
    lengths = rng.lognormal(7.3, 0.9, len(drawn)), rng.lognormal(4.6, 0.7, len(drawn))
    return Requests.of(drawn.arrival_s, *(np.clip(one, 16, 12_000) for one in lengths))


def world(requests: Requests, slower: float = 1.0, **options: float) -> World:
    profile = reference_engine()
    engine = Engine.of(profile)
    return World(
        requests=requests,
        engine=replace(
            engine,
            prefill_ms=lambda isl: slower * engine.prefill_ms(isl),
            step_ms=lambda batch, kv: slower * engine.step_ms(batch, kv),
        ),
        profile=profile,
        targets=POLICY.targets,
        gpus=SPLIT,
        initial=SPLIT,
        options=Options(**{"interval_s": 60.0, "start_up_s": 90.0, **options}),
        seed=1,
    )


CASES = {
    "azure": (lambda: world(azure()), POLICY),
    "azure-shared-queue": (lambda: world(azure()), replace(POLICY, dispatch=Dispatch.SHARED)),
    "sine": (lambda: world(swinging(), start_up_s=30.0), POLICY),
    "sine-slow-engines": (lambda: world(swinging(), slower=1.4, start_up_s=30.0), POLICY),
    "stopping": (lambda: world(stopping()), POLICY),
    "stopping-budget": (lambda: world(stopping()), replace(POLICY, budget_gpus=3)),
}


def told(decision: Decision) -> Any:
    plan = decision.outcome
    if not isinstance(plan, Plan):
        return plan.reason
    roles = {
        role.seen.role.value: {
            "replicas": role.replicas,
            "needed": role.needed,
            "need": None if role.need is None else float(f"{role.need:.6g}"),
            "limit": role.limit and role.limit.value,
            "factor": float(f"{role.factor:.6g}"),
        }
        for role in plan.roles
    }
    return {"planned": float(f"{plan.forecast.planned:.6g}"), **roles}


Told = dict[tuple[str, ...], Any]


def flat(decisions: dict[str, Any]) -> Told:
    """Each number by its place."""
    found: Told = {}
    for name, one in decisions.items():
        below = flat(one) if isinstance(one, dict) else {(): one}
        found |= {(name, *place): value for place, value in below.items()}
    return found


def differences(stored: Told, found: Told) -> dict[tuple[str, ...], tuple[Any, Any]]:
    places = stored.keys() | found.keys()
    both = {place: (stored.get(place, "none"), found.get(place, "none")) for place in places}
    return {place: pair for place, pair in both.items() if not same(*pair)}


def same(stored: Any, found: Any) -> bool:
    if isinstance(stored, float) and isinstance(found, float):
        return math.isclose(stored, found, rel_tol=ROUNDED)
    return bool(stored == found)


@pytest.mark.parametrize("case", CASES)
def test_decisions_over_a_trace_are_those_of_the_golden_file(case: str) -> None:
    build, policy = CASES[case]
    here = build()
    planner = Ours(profile=here.profile, policy=policy, gpus=here.gpus)
    rehearse(here, "ours", planner, planner.interval_s)
    found = {f"{t_s:g}": told(decision) for t_s, decision in planner.decisions.items()}
    path = GOLDENS / f"{case}.json"
    text = json.dumps(found, indent=1) + "\n"
    if os.environ.get("UPDATE_GOLDENS"):
        path.write_text(text)
    assert differences(flat(json.loads(path.read_text())), flat(found)) == {}
