"""Sequences of decisions: noise, quiet and darkness, with the forecaster that ships."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from dgdr_api.graph import Role
from dgdr_planner.decide import decide
from dgdr_planner.forecast import Demand
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.observation import LoadSeen, Observation
from dgdr_planner.observe.value import Trouble, Value
from dgdr_planner.plan import Plan
from dgdr_planner.policy import Policy
from dgdr_planner.state import State
from support.planning import PROFILE, at, load, policy, target, unknown

INTERVAL_S = 60.0
HOW = policy(
    interval_s=INTERVAL_S,
    stabilization_s=300,
    max_step_down=1,
    forecast_model="Auto",
    quantile=0.9,
)
SETTLED_TICKS = 15
# What a planner that is started knows from Prometheus.
PAST_TICKS = 120
HOUR_TICKS = 60
SEEDS = range(20)
FRESH = State()


def run(
    loads: Iterator[LoadSeen],
    state: State = FRESH,
    replicas: tuple[int, int] = (1, 1),
    how: Policy = HOW,
) -> list[tuple[int, int]]:
    """Replicas after each tick; what is asked for is ready at the next one."""
    current, out = replicas, []
    for tick, seen in enumerate(loads):
        what = Observation(target=target(*current), load=seen)
        decision = decide(what, PROFILE, how, state, at(tick * INTERVAL_S))
        state = decision.state
        if isinstance(decision.outcome, Plan):
            by_role = {role.seen.role: role.replicas for role in decision.outcome.roles}
            current = (by_role[Role.PREFILL], by_role[Role.DECODE])
        out.append(current)
    return out


def noisy(rate_per_s: float, seed: int) -> LoadSeen:
    """A window of Poisson arrivals, and prompts that differ."""
    dice = random.Random(seed)
    spread = (rate_per_s / INTERVAL_S) ** 0.5
    counted = max(dice.gauss(rate_per_s, spread), 0.01)
    seen = load(counted, isl=dice.gauss(2048, 20))
    return replace(seen, window_s=INTERVAL_S, ttft_ms=Value(150.0), itl_ms=Value(15.0))


def past(rate_per_s: float, dice: random.Random) -> State:
    """What is known of the two hours before."""
    windows = [
        Sample.of(noisy(rate_per_s, dice.getrandbits(32)), at(-INTERVAL_S * back).timestamp())
        for back in range(PAST_TICKS, 0, -1)
    ]
    return State(demand=Demand.restored(windows))


def test_a_constant_noisy_load_changes_nothing_once_it_has_settled() -> None:
    changes = []
    for seed in SEEDS:
        dice = random.Random(seed)
        rate_per_s, ticks = dice.uniform(1.0, 25.0), SETTLED_TICKS + HOUR_TICKS
        loads = (noisy(rate_per_s, dice.getrandbits(32)) for _ in range(ticks))
        after = run(loads, past(rate_per_s, dice))[SETTLED_TICKS - 1 :]
        changes.append(sum(one != two for one, two in pairwise(after)))
    assert changes == [0] * len(SEEDS)


def crowded(flat_per_s: float, times: float, seed: int) -> list[LoadSeen]:
    """A flat half hour, eight minutes of so many times as much that fade, and 40 flat ones."""
    over = [0.0] * 30 + [times - 1.0] * 8 + [(times - 1.0) * math.exp(-k / 3) for k in range(1, 41)]
    return [noisy(flat_per_s * (1.0 + more), 1000 * seed + k) for k, more in enumerate(over)]


@pytest.mark.parametrize("seed", range(2))
def test_nothing_is_bought_again_once_a_crowd_has_gone(seed: int) -> None:
    how = replace(HOW, quantile=0.95, stabilization_s=120, max_step_down=None)
    replicas = run(iter(crowded(10.0, 3.0, seed)), how=how)
    crowd, after = replicas[37], replicas[48:]
    assert crowd > (6, 5)
    assert all(now <= was for pair in pairwise(after) for was, now in zip(*pair, strict=True))


def test_ten_idle_minutes_end_at_the_minimum() -> None:
    busy = [noisy(9.4, seed) for seed in range(10)]
    idle = [replace(load(0), window_s=INTERVAL_S)] * 10
    assert run(iter(busy))[-1] > (2, 1)
    assert run(iter(busy + idle))[-1] == (1, 1)


def test_ten_minutes_in_the_dark_change_nothing() -> None:
    busy = [noisy(9.4, seed) for seed in range(10)]
    dark = [unknown()] * 10
    replicas = run(iter(busy + dark))
    assert set(replicas[9:]) == {replicas[9]}


def test_load_after_the_dark_is_served_at_the_next_tick() -> None:
    dark = [unknown()] * 10
    assert run(iter([*dark, noisy(9.4, 1)]))[-1] >= (3, 2)


def test_a_hold_from_outside_changes_nothing_whatever_the_load() -> None:
    stopped = Trouble("Stopped", "all planners are stopped")
    what = Observation(target=target(1, 1), load=load(300), hold=stopped)
    assert decide(what, PROFILE, HOW, State(), at(0)).outcome == stopped
