"""What was missed is told by cause, and adds up; what was spent adds up too."""

from dataclasses import replace

import numpy as np
import pytest

from bench.reference import reference_engine
from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Requests
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.sizing import Percentile, Targets
from dgdr_rehearsal.replay.controllers import Replicas, Static
from dgdr_rehearsal.replay.rehearsal import Rehearsed, World, rehearse
from dgdr_rehearsal.replay.why import Cause, Why, why
from dgdr_rehearsal.replay.window import WindowSeen

MOST = {Role.PREFILL: 16, Role.DECODE: 16}
FEW = {Role.PREFILL: 1, Role.DECODE: 4}
PLENTY = {Role.PREFILL: 8, Role.DECODE: 4}


def world(rates_per_s: list[float], initial: Replicas, start_up_s: float = 60.0) -> World:
    """One rate for each minute, evenly spaced, of prompts of 3000 tokens."""
    times = [
        60.0 * minute + np.arange(0.0, 60.0, 1.0 / rate_per_s)
        for minute, rate_per_s in enumerate(rates_per_s)
    ]
    at_s = np.concatenate(times)
    profile = reference_engine()
    return World(
        requests=Requests.of(at_s, np.full(at_s.size, 3000.0), np.full(at_s.size, 50.0)),
        engine=Engine.of(profile),
        profile=profile,
        targets=Targets(ttft_ms=500, itl_ms=30, percentile=Percentile.P95),
        gpus={Role.PREFILL: 1, Role.DECODE: 1},
        initial=initial,
        options=Options(interval_s=60.0, start_up_s=start_up_s, duration_s=60.0 * len(rates_per_s)),
    )


class Later:
    """Asks for other replicas at given seconds."""

    def __init__(self, course: dict[float, Replicas]) -> None:
        self._course = course

    def __call__(self, seen: WindowSeen) -> Replicas:
        return self._course.get(seen.t_s, {})


def told(here: World, course: dict[float, Replicas] | None = None, most: Replicas = MOST) -> Why:
    run = rehearse(here, "ours", Later(course) if course else Static())
    found = why(here, run, most)
    assert sum(found.points.values()) == pytest.approx(missed(run))
    spent = found.needed_gpu_hours + found.spare_gpu_hours + found.starting_gpu_hours
    assert spent == pytest.approx(run.gpu_hours, rel=0.02)
    return found


def missed(run: Rehearsed) -> float:
    return 100.0 * (1.0 - run.of_all.attained)


def worst(found: Why) -> Cause:
    return max(found.points, key=lambda cause: found.points[cause])


def test_a_run_that_misses_nothing_has_no_cause() -> None:
    assert sum(told(world([5.0] * 5, PLENTY)).points.values()) == 0.0


def test_the_first_minutes_are_nobodys_fault() -> None:
    assert worst(told(world([40.0, 40.0], FEW), {60.0: PLENTY})) is Cause.START


def test_what_was_not_ordered_in_time_is_a_rise() -> None:
    assert worst(told(world([5.0, 5.0, 5.0, 40.0, 40.0], FEW))) is Cause.RISE


def test_a_queue_is_missed_for_what_made_it() -> None:
    found = told(world([5, 5, 5, 40, 40, 5, 5], FEW), {300.0: PLENTY})
    assert found.points[Cause.RISE] == pytest.approx(sum(found.points.values()))


def test_what_had_been_there_was_given_back_early() -> None:
    found = told(world([40, 40, 5, 5, 40, 40], PLENTY), {120.0: FEW})
    assert worst(found) is Cause.GAVE_BACK


def test_what_the_spec_forbids_is_the_limit() -> None:
    found = told(world([5, 5, 5, 40, 40], FEW), most={**MOST, Role.PREFILL: 1})
    assert worst(found) is Cause.LIMIT


def test_a_burst_inside_a_window_is_told_apart() -> None:
    here = world([4.0] * 4, FEW)
    at_s = here.requests.arrival_s.copy()
    last = at_s >= 180.0
    at_s[last] = 180.0 + (at_s[last] - 180.0) / 12.0
    crowded = replace(here.requests, arrival_s=at_s)
    assert worst(told(replace(here, requests=crowded))) is Cause.BURST


def test_slower_engines_than_the_curves_are_the_sizings_fault() -> None:
    here = world([12.0] * 5, {Role.PREFILL: 2, Role.DECODE: 4})
    slow = replace(here.engine, prefill_ms=lambda isl: 3.0 * here.engine.prefill_ms(isl))
    assert worst(told(replace(here, engine=slow))) is Cause.SIZING
