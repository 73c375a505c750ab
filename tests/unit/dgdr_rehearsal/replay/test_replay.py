"""Controllers in a small world: ten quiet minutes, ten busy ones, ten quiet ones."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dgdr_api.graph import Role
from dgdr_perf.classic import ClassicProfile
from dgdr_perf.simulator.arrivals import Requests, poisson
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.fleet import Counts
from dgdr_perf.simulator.options import Options
from dgdr_perf.sizing import Percentile, Targets
from dgdr_planner.observe.value import Idle, Unknown, Value
from dgdr_planner.policy import Limits, Policy
from dgdr_rehearsal.replay.advice import held_gpus
from dgdr_rehearsal.replay.allowed import Allowed
from dgdr_rehearsal.replay.baselines import Statics, begun
from dgdr_rehearsal.replay.classic import Classic, Expected, Foretold
from dgdr_rehearsal.replay.controllers import HpaLike, Oracle, Static
from dgdr_rehearsal.replay.hindsight import hindsight
from dgdr_rehearsal.replay.needs import largest, needs
from dgdr_rehearsal.replay.ours import Ours, load_seen
from dgdr_rehearsal.replay.plot import Panel, plot_png
from dgdr_rehearsal.replay.rehearsal import World, rehearse
from dgdr_rehearsal.replay.report import rows, table
from dgdr_rehearsal.replay.window import WindowSeen, window_seen
from support.planning import DECODE, PREFILL, PROFILE
from support.simulated import constant, run

GPUS = {Role.PREFILL: 1, Role.DECODE: 1}
TARGETS = Targets(ttft_ms=600, itl_ms=40, percentile=Percentile.P95)


def stepped(low: float = 1.0, high: float = 12.0) -> Requests:
    """Ten minutes low, ten minutes high, ten minutes low."""
    return poisson(
        np.random.default_rng(1),
        lambda at_s: np.where((at_s > 600) & (at_s < 1200), high, low),
        1800,
        peak_per_s=high,
        isl=2048,
        osl=128,
    )


def world(requests: Requests | None = None, **options: Any) -> World:
    return World(
        requests=requests or stepped(),
        engine=Engine.of(PROFILE),
        profile=PROFILE,
        targets=TARGETS,
        gpus=GPUS,
        initial=GPUS,
        options=Options(**({"duration_s": 1800.0} | options)),
    )


def seen(roles: Mapping[Role, Counts] | None = None, **changes: Any) -> WindowSeen:
    nothing = np.array([])
    window = WindowSeen(
        t_s=60.0,
        window_s=60.0,
        started=600,
        completed=590,
        in_flight=10,
        isl=2048.0,
        osl=128.0,
        duration_s=2.0,
        prompts=np.full(600, 2048.0),
        answers=np.full(590, 128.0),
        ttft_ms=np.full(600, 250.0),
        itl_ms=np.full(590, 19.0),
        gaps=np.full(590, 127.0),
        roles=roles or {role: Counts(ready=2, pending=0, terminating=0) for role in GPUS},
    )
    if changes.get("started") == 0:
        changes = {
            "completed": 0, "isl": np.nan, "osl": np.nan, "duration_s": np.nan,
            "prompts": nothing, "answers": nothing,
            "ttft_ms": nothing, "itl_ms": nothing, "gaps": nothing,
        } | changes  # fmt: skip
    return replace(window, **changes)


def test_a_window_shows_what_a_frontend_would() -> None:
    found: list[WindowSeen] = []
    requests = Requests.of([10.0, 20.0, 59.99, 130.0], [100, 300, 500, 100], [11, 21, 101, 11])

    def noting(tick: Any) -> None:
        found.append(window_seen(tick))

    run(constant(100, 10), requests, GPUS, plan=noting, duration_s=180.0)
    first = found[0]
    assert (first.started, first.completed, first.in_flight) == (3, 2, 1)
    assert (first.isl, first.osl) == (200.0, 16.0)
    assert first.ttft_ms.tolist() == pytest.approx([100, 100])
    assert first.itl_ms.tolist() == pytest.approx([10, 10])
    assert first.duration_s == pytest.approx(0.25)
    assert found[1].isl == 500.0
    assert found[1].completed == 1


def test_a_window_without_anything_is_idle_and_one_that_only_began_is_unknown() -> None:
    idle = load_seen(seen(started=0, in_flight=0))
    assert isinstance(idle.rate_per_s, Idle)
    assert isinstance(idle.isl, Idle)
    begun_only = load_seen(seen(started=0, in_flight=4))
    assert begun_only.rate_per_s == Value(0.0)
    assert isinstance(begun_only.isl, Unknown)


def test_a_windows_numbers_reach_the_planner() -> None:
    load = load_seen(seen())
    assert load.rate_per_s == Value(10.0)
    assert load.isl == Value(2048.0)
    assert load.ttft_ms == Value(250.0)
    assert load.requests == 590
    assert load.isl_quantiles is not None


def test_ours_follows_a_step_up_and_down() -> None:
    policy = Policy(
        targets=TARGETS,
        limits={role: Limits(fewest=1, most=12) for role in GPUS},
        interval_s=60,
        stabilization_s=60,
        max_step_down=8,
        forecast_model="LastValue",
        quantile=0.5,
    )
    found = rehearse(world(), "ours", Ours(profile=PROFILE, policy=policy, gpus=GPUS))
    ready = found.timelines[Role.PREFILL]
    times = np.array([590.0, 900.0, 1190.0, 1790.0])
    before, during, late, after = ready.at(times)
    assert min(during, late) >= largest(needs(world()))[Role.PREFILL]
    assert before < during > after
    assert found.actions > 0


def test_classic_drops_its_change_while_a_replica_is_not_ready() -> None:
    classic = Classic(
        profile=ClassicProfile.of(PREFILL, DECODE), targets=TARGETS, gpus=GPUS, most=20
    )
    busy = seen(started=1200)
    assert classic(busy)[Role.PREFILL] > 2
    pending = {**busy.roles, Role.DECODE: Counts(ready=1, pending=1, terminating=0)}
    assert classic(replace(busy, roles=pending)) == {}


def test_classic_skips_an_idle_window_as_upstream_does() -> None:
    classic = Classic(
        profile=ClassicProfile.of(PREFILL, DECODE), targets=TARGETS, gpus=GPUS, most=20
    )
    assert classic(seen(started=0, in_flight=0)) == {}


def test_classic_sizes_for_what_was_foretold_of_the_window_that_begins() -> None:
    told = Foretold([Expected(n=n, isl=2048, osl=128) for n in (0, 60, 6000)])
    classic = Classic(
        profile=ClassicProfile.of(PREFILL, DECODE),
        targets=TARGETS,
        gpus=GPUS,
        most=99,
        predictor=told,
    )
    assert classic(seen(t_s=120.0))[Role.PREFILL] > 10 * classic(seen(t_s=60.0))[Role.PREFILL]


def test_an_hpa_goes_up_at_once_and_down_after_its_window() -> None:
    hpa = HpaLike(per_replica={Role.PREFILL: 2.0}, most={Role.PREFILL: 9})

    def at(t_s: float, waiting: int, ready: int) -> int:
        counts = Counts(ready=ready, pending=0, terminating=0, waiting=waiting)
        return hpa(seen({Role.PREFILL: counts}, t_s=t_s))[Role.PREFILL]

    assert at(15, 8, 2) == 4
    assert at(30, 100, 4) == 9
    assert at(45, 2, 9) == 9
    assert at(345, 2, 9) == 1


def test_an_hpa_leaves_a_tenth_alone() -> None:
    hpa = HpaLike(per_replica={Role.PREFILL: 10.0}, most={Role.PREFILL: 9})
    counts = Counts(ready=2, pending=0, terminating=0, running=21)
    assert hpa(seen({Role.PREFILL: counts}))[Role.PREFILL] == 2


def test_an_oracle_asks_a_start_up_ahead_and_keeps_what_it_will_need() -> None:
    plans = [{Role.PREFILL: need} for need in (1, 1, 1, 5, 1, 1, 1)]
    now = Oracle(needs=plans, interval_s=60.0, start_up_s=0.0)
    slow = Oracle(needs=plans, interval_s=60.0, start_up_s=90.0)
    found = [[each(seen(t_s=60.0 * k))[Role.PREFILL] for k in range(1, 6)] for each in (now, slow)]
    assert found == [[1, 1, 5, 1, 1], [5, 5, 5, 1, 1]]


@pytest.mark.parametrize("start_up_s", [0.0, 60.0, 180.0])
def test_the_oracle_attains_the_goal_and_costs_less_than_its_peak(start_up_s: float) -> None:
    here = begun(world().starting_in(start_up_s))
    found = hindsight(here, free(), 0.95)
    assert found.attained >= 0.95
    assert found.gpu_hours < Statics(here, largest(needs(here))).at(found.most).gpu_hours


def test_the_oracle_has_no_more_gpus_than_the_budget() -> None:
    here = replace(begun(world().starting_in(60.0)), initial=GPUS)
    unlimited, tight = (hindsight(here, free(gpus), 0.95) for gpus in (None, 4))
    assert held_gpus(unlimited, GPUS) > 4 >= held_gpus(tight, GPUS)
    assert tight.attained < unlimited.attained


def free(budget_gpus: int | None = None) -> Allowed:
    limits = {role: Limits(fewest=1, most=12) for role in GPUS}
    return Allowed(limits=limits, gpus=GPUS, budget_gpus=budget_gpus)


def test_the_cheapest_static_setting_is_that_of_trying_all() -> None:
    here = world()
    statics = Statics(here, {Role.PREFILL: 5, Role.DECODE: 3})
    tried = [
        rehearse(replace(here, initial={Role.PREFILL: p, Role.DECODE: d}), "s", Static())
        for p in range(1, 6)
        for d in range(1, 4)
    ]
    for goal in (0.5, 0.9, 0.95, 0.99):
        able = [one.gpu_hours for one in tried if one.attained >= goal]
        found = statics.cheapest(goal)
        assert (found.gpu_hours if found else None) == (min(able) if able else None)


def test_hopeless_requests_are_in_no_share() -> None:
    lengths = np.full(200, 1000.0)
    lengths[::10] = 8000.0
    requests = Requests.of(np.linspace(0, 1790, 200), lengths, 20)
    found = rehearse(world(requests), "static", Static())
    assert found.hopeless == 20
    assert found.attained == 1.0


def test_a_table_has_a_line_for_each_run_and_json_the_same_numbers() -> None:
    run = rehearse(world(), "ours", Static())
    found = rows("small", [run], run, {"ours": 1.0})
    assert found[0]["of_oracle_gpu_hours"] == 1.0
    assert found[0]["most"] == {"prefill": 1, "decode": 1}
    lines = table(found).splitlines()
    assert len(lines) == 2
    assert "ours" in lines[1]
    assert "1P+1D" in lines[1]


def test_the_picture_is_a_png() -> None:
    run = rehearse(world(), "ours", Static())
    panel = Panel(title="small", arrival_s=stepped().arrival_s, goal=0.95, runs=[run])
    assert plot_png([panel]).startswith(b"\x89PNG")
