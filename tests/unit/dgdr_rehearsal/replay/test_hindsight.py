"""Hindsight: cheaper than a planner that must guess, and never below what was asked."""

from dataclasses import replace

import numpy as np

from bench.hindsight import Courses, Hindsight, plenty
from bench.planner_replay import Workload, world_of
from bench.replay_goals import BEGINS, goal_rows
from bench.sizing_grid import Cell, Lab, row_of
from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Requests, sine
from dgdr_perf.sizing import Dispatch, Percentile
from dgdr_rehearsal.replay.baselines import begun
from dgdr_rehearsal.replay.controllers import Static
from dgdr_rehearsal.replay.needs import largest, needs
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse

DURATION_S = 900.0


def wave() -> Requests:
    rng = np.random.default_rng(1)
    return sine(rng, 4, 40, period_s=450, duration_s=DURATION_S, isl=3000, osl=100)


def world(start_up_s: float = 60.0) -> World:
    workload = Workload(name="wave", read=wave, ttft_ms=300, itl_ms=12, duration_s=DURATION_S)
    return world_of(workload).starting_in(start_up_s)


def test_the_hindsight_least_attains_its_goal_for_less_than_standing_still() -> None:
    here = begun(world())
    hindsight = Hindsight(world=here, courses=Courses.of(here))
    still = rehearse(replace(here, initial=largest(needs(here))), "static", Static())
    cheap, dear = hindsight.least(0.8), hindsight.least(0.95)
    assert cheap is not None
    assert dear is not None
    assert cheap.attained >= 0.8
    assert dear.attained >= 0.95
    assert cheap.gpu_hours <= dear.gpu_hours < still.gpu_hours


def test_nothing_attains_what_came_before_anybody_could_act() -> None:
    here = replace(world(start_up_s=300.0), initial={Role.PREFILL: 1, Role.DECODE: 1})
    most = plenty(here, 64)
    hindsight = Hindsight(world=here, courses=Courses.of(here))
    assert most.attained < 0.9
    assert hindsight.least(most.attained + 0.01) is None


def test_a_row_compares_with_what_could_be_attained() -> None:
    def nobody(here: World) -> Rehearsed:
        return rehearse(here, "nobody", Static())

    rows = list(goal_rows("wave", world(), [60.0], BEGINS, 64, nobody))
    assert [row["begin"] for row in rows] == list(BEGINS)
    for row in rows:
        reachable = min(0.95, row["plenty_attained"])
        assert row["short_points"] > 5.0
        assert abs(row["short_points"] - 100 * (reachable - row["attained"])) < 0.1
        assert row["hindsight_goal_attained"] >= reachable - 1e-4
        assert row["hindsight_gpu_hours"] <= row["hindsight_goal_gpu_hours"]


def test_the_grid_finds_the_fewest_that_suffice() -> None:
    lab = Lab.of()
    cell = Cell(
        role=Role.PREFILL,
        distribution="equal",
        dispatch=Dispatch.SHARED,
        rate_per_s=30.0,
        percentile=Percentile.P95,
        factor=2.0,
    )
    row = row_of(lab, cell)
    fewest = row["simulated"]
    assert fewest > 1
    assert lab.suffices(cell, fewest)
    assert not lab.suffices(cell, fewest - 1)
    assert row["ratio"] == round(row["sized"] / fewest, 3)
