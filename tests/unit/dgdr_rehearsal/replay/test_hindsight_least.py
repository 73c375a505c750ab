"""The least with hindsight keeps to the spec, and so does what is advised."""

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dgdr_api.graph import Role
from dgdr_perf.simulator.fleet import Counts
from dgdr_perf.simulator.outcome import Timeline
from dgdr_planner.policy import Limits, Policy
from dgdr_rehearsal.replay.advice import advice, held_gpus
from dgdr_rehearsal.replay.allowed import Allowed, Within
from dgdr_rehearsal.replay.hindsight import least_rungs
from dgdr_rehearsal.replay.rehearsal import OfAll, Rehearsed
from support.planning import POLICY

SPLIT = (Role.PREFILL, Role.DECODE)
GPUS = {Role.PREFILL: 1, Role.DECODE: 2}
GOAL = 0.95


def counts(ready: int, terminating: int = 0) -> Counts:
    return Counts(ready=ready, pending=0, terminating=terminating)


def allowed(budget_gpus: int | None = None) -> Allowed:
    limits = {Role.PREFILL: Limits(fewest=2, most=6), Role.DECODE: Limits(fewest=1, most=4)}
    return Allowed(limits=limits, gpus=GPUS, budget_gpus=budget_gpus)


def of(prefill: int, decode: int) -> dict[Role, int]:
    return {Role.PREFILL: prefill, Role.DECODE: decode}


@pytest.mark.parametrize(
    ("budget_gpus", "need", "given"),
    [
        (None, of(9, 9), of(6, 4)),
        (None, of(0, 0), of(2, 1)),
        (8, of(3, 2), of(3, 2)),
        (4, of(6, 4), of(2, 1)),
    ],
)
def test_nobody_gets_more_than_the_spec_allows(
    budget_gpus: int | None, need: Mapping[Role, int], given: Mapping[Role, int]
) -> None:
    assert allowed(budget_gpus).nearest(need) == given


def test_a_pod_that_stops_holds_its_gpus() -> None:
    room, full = ({role: counts(2) for role in SPLIT} for _ in range(2))
    full[Role.PREFILL] = counts(2, terminating=2)
    assert allowed(8).next(of(4, 2), room) == of(4, 2)
    assert allowed(8).next(of(4, 2), full) == of(2, 2)


def test_roles_that_a_controller_leaves_out_stay_as_they_are() -> None:
    class Silent:
        def __call__(self, seen: object) -> dict[Role, int]:
            return {Role.DECODE: 9}

    seen: Any = SimpleNamespace(roles={role: counts(3) for role in SPLIT})
    assert Within(Silent(), allowed())(seen) == of(3, 4)


def run(prefill: bool, decode: bool, gpus: int = 0) -> Rehearsed:
    """A run that keeps the target of a role, or misses it."""
    shares = [1.0 if kept else 0.5 for kept in (prefill, decode)]
    none = np.zeros(1, dtype=np.int64)
    line = Timeline(at_s=np.zeros(1), ready=none + gpus, pending=none, terminating=none)
    return Rehearsed(
        controller="ours", start_up_s=60.0, requests=100, hopeless=0, failed=0,
        attained=min(shares), ttft_attained=shares[0], itl_attained=shares[1],
        of_all=OfAll(attained=min(shares), ttft=shares[0], itl=shares[1]),
        gpu_hours=float(gpus), actions=0, most={}, timelines={Role.PREFILL: line},
        late=np.zeros(1),
    )  # fmt: skip


@pytest.mark.parametrize("prefill", range(8))
@pytest.mark.parametrize("decode", [0, 3, 7])
def test_the_least_rungs_are_found_for_both_roles_at_once(prefill: int, decode: int) -> None:
    tried = []

    def at(rungs: Mapping[Role, int]) -> Rehearsed:
        tried.append(rungs)
        return run(rungs[Role.PREFILL] >= prefill, rungs[Role.DECODE] >= decode)

    assert least_rungs(of(7, 7), at, GOAL) == of(prefill, decode)
    assert len(tried) <= 3


def test_what_no_rung_does_ends_at_the_top() -> None:
    assert least_rungs(of(5, 0), lambda _: run(prefill=False, decode=False), GOAL) == of(5, 0)


class Advised:
    """Our planner where these fewest replicas and this budget keep the targets, and no less."""

    def __init__(self, prefill: int, decode: int, gpus: int) -> None:
        self.prefill, self.decode, self.gpus = prefill, decode, gpus
        self.tried: list[Policy] = []

    def __call__(self, policy: Policy) -> Rehearsed:
        self.tried.append(policy)
        fewest = {role: limits.fewest for role, limits in policy.limits.items()}
        short = policy.budget_gpus is not None and policy.budget_gpus < self.gpus
        return run(
            fewest[Role.PREFILL] >= self.prefill and not short,
            fewest[Role.DECODE] >= self.decode,
            gpus=13,
        )


def test_the_least_that_keeps_the_targets_is_advised() -> None:
    world = Advised(prefill=3, decode=1, gpus=9)
    given = replace(POLICY, budget_gpus=4, limits=dict.fromkeys(SPLIT, Limits(fewest=2, most=8)))
    found = advice(given, GPUS, of(6, 5), GOAL, world)
    assert (found.fewest, found.budget_gpus, found.attains) == (of(3, 1), 9, True)
    assert len(world.tried) <= 10


def test_the_most_is_never_exceeded_and_what_cannot_be_had_is_told() -> None:
    world = Advised(prefill=9, decode=1, gpus=0)
    given = replace(POLICY, limits=dict.fromkeys(SPLIT, Limits(fewest=1, most=4)))
    found = advice(given, GPUS, of(12, 2), GOAL, world)
    assert not found.attains
    assert max(one.limits[Role.PREFILL].fewest for one in world.tried) == 4


def test_held_gpus_are_those_of_all_states_at_once() -> None:
    def line(at_s: list[float], ready: list[int], pending: list[int]) -> Timeline:
        states = (np.array(one, dtype=np.int64) for one in (ready, pending, [0] * len(at_s)))
        now, soon, gone = states
        return Timeline(at_s=np.array(at_s), ready=now, pending=soon, terminating=gone)

    lines = {
        Role.PREFILL: line([0.0, 60.0], [4, 1], [0, 0]),
        Role.DECODE: line([0.0, 30.0, 90.0], [1, 1, 4], [0, 2, 0]),
    }
    held = held_gpus(replace(run(prefill=True, decode=True), timelines=lines), GPUS)
    assert held == max(4 + 2, 4 + 6, 1 + 6, 1 + 8)
