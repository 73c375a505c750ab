"""A pass between two ticks sees the window of the last one, however often it comes."""

import random
from collections.abc import Container

import pytest

from dgdr_api.graph import Role
from dgdr_kube.kinds import GPU_BUDGET
from dgdr_planner.adapters.budgets import ClusterBudgets
from dgdr_planner.adapters.planners import PlannerIndex
from dgdr_planner.decide import decide
from dgdr_planner.forecast.grid import on_grid
from dgdr_planner.observe.budget import BudgetSeen, Claim
from dgdr_planner.observe.looks import Look
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.planner_pass import RETRY_S
from dgdr_planner.state import State, with_look
from support.fake_cluster import FakeCluster
from support.planner_status import gpu_budget, member
from support.planner_world import KEY, World
from support.planning import EXACTLY, NAMESPACE, PROFILE, at, load, policy, seeing, sla_planner
from support.planning import unknown as not_known

INTERVAL_S = 15.0
# Needs a little more than three prefill replicas.
NEAR = 14.0


def looked(*seconds_and_loads: tuple[float, LoadSeen]) -> State:
    state = State()
    for seconds, seen in seconds_and_loads:
        state = with_look(state, seeing(seen), policy(), at(seconds))
    return state


def test_passes_that_are_tried_again_add_no_windows() -> None:
    rates = [10.0 + tick for tick in range(20)]
    ticks = [
        (INTERVAL_S * tick + again_s, load(rate + again_s))
        for tick, rate in enumerate(rates)
        for again_s in (0.0, 2.0, 4.0)
    ]
    grid = on_grid(looked(*ticks).demand)
    assert grid.step_s == INTERVAL_S
    assert grid.rate_per_s.tolist() == [rate + 4.0 for rate in rates]


def test_passes_that_never_end_add_a_window_an_interval() -> None:
    state = looked(*((5.0 * index, load(9.0)) for index in range(61)))
    assert len(state.demand) == pytest.approx(300.0 / INTERVAL_S, rel=0.6)
    assert on_grid(state.demand).step_s == 10.0


def test_a_window_that_was_seen_is_not_lost_to_a_look_that_sees_nothing() -> None:
    state = looked((0.0, load(9.0)), (2.0, not_known()))
    assert state.demand == looked((0.0, load(9.0))).demand
    found = looked((0.0, not_known()), (2.0, load(9.0))).demand
    assert (len(found), found.known) == (1, 1)


def replicas(found: Decision) -> int:
    assert isinstance(found.outcome, Plan)
    return found.outcome.roles[0].replicas


def decided(*seconds: float, unknown_s: Container[float] = ()) -> Decision:
    state = State()
    for at_s in seconds:
        seen = seeing(not_known() if at_s in unknown_s else load(NEAR), 3, 2)
        found = decide(seen, PROFILE, policy(), state, at(at_s), forecaster=EXACTLY)
        state = found.state
    return found


def test_three_looks_at_one_window_are_one_need() -> None:
    again, windows = decided(0.0, 2.0, 4.0), decided(0.0, 15.0, 30.0)
    assert replicas(again) == 3
    assert len(again.state.near_needs[Role.PREFILL]) == 1
    assert replicas(windows) == 4


@pytest.mark.parametrize(
    ("seconds", "unknown_s"),
    [
        pytest.param((0.0, 15.0, 17.0, 30.0), {15.0}, id="one first look"),
        pytest.param((0.0, 2.0, 15.0, 17.0, 30.0, 32.0), {0.0, 15.0, 30.0}, id="each first look"),
        pytest.param((0.0, 15.0, 17.0, 19.0, 30.0), {15.0, 19.0}, id="and once more"),
    ],
)
def test_a_window_of_which_the_first_look_told_nothing_is_a_need(
    seconds: tuple[float, ...], unknown_s: set[float]
) -> None:
    before = decided(*seconds[:-1], unknown_s=unknown_s)
    assert len(before.state.near_needs[Role.PREFILL]) == 2
    assert replicas(decided(*seconds, unknown_s=unknown_s)) == 4


def test_a_look_between_two_at_one_window_makes_it_no_other_one() -> None:
    state = State()
    for at_s, is_fast in ((0.0, False), (1.0, True), (2.0, False)):
        seen = seeing(load(NEAR), 3, 2)
        seen = seen.looked((Look(at_s=at_s, window_s=10.0, rate_per_s=NEAR),)) if is_fast else seen
        state = decide(seen, PROFILE, policy(), state, at(at_s), forecaster=EXACTLY).state
    assert len(state.near_needs[Role.PREFILL]) == 1


async def test_those_that_met_try_again_at_different_moments() -> None:
    world = World(sla_planner(budget={"ref": "team"}))
    world.cluster.seed(gpu_budget(20))
    world.metrics.rate_per_s = 9.4

    async def beaten(*_: object) -> bool:
        return False

    world.run._uniform = random.Random(1).uniform
    world.run._budgets.claim = beaten  # type: ignore[method-assign]
    found = [await world.run(KEY) for _ in range(8)]
    assert len({*found}) == 8
    assert all(delay_s is not None and RETRY_S[0] <= delay_s <= RETRY_S[1] for delay_s in found)


@pytest.mark.parametrize(("reserved_gpus", "is_granted"), [(4, True), (5, False)])
async def test_who_says_nothing_new_is_not_outdated(reserved_gpus: int, is_granted: bool) -> None:
    cluster = FakeCluster()
    members = [{"planner": "a"}, {"planner": "b"}]
    cluster.seed(gpu_budget(20) | {"spec": {"gpus": 20, "members": members}, "status": {}})
    cluster.seed(member("a"), member("b"))
    budgets = ClusterBudgets(cluster, PlannerIndex(cluster), lambda: at(0))

    async def seen(planner: str) -> BudgetSeen:
        found = await budgets.observe(NAMESPACE, "team", planner)
        assert isinstance(found, BudgetSeen)
        return found

    async def claim(found: BudgetSeen, gpus: int) -> bool:
        planner = found.me.name
        own = Claim(reserved_gpus=gpus, floor_gpus=2, target=planner)
        return await budgets.claim(NAMESPACE, found, own, planner)

    assert await claim(await seen("a"), 4)
    before = await seen("a")
    assert await claim(await seen("b"), 6)
    written = len(cluster.writes)
    assert await claim(before, reserved_gpus) is is_granted
    assert len(cluster.writes) == written
    there = await cluster.get(GPU_BUDGET, NAMESPACE, "team") or {}
    assert [one["reservedGpus"] for one in there["status"]["holdings"]] == [4, 6]
