"""Replicas that start, drain, die, and what they cost."""

from collections.abc import Mapping

import numpy as np
import pytest

from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch
from dgdr_perf.simulator.arrivals import Requests, RequestsError, poisson, sine
from dgdr_perf.simulator.options import Failure
from dgdr_perf.simulator.run import Tick
from support.simulated import constant, h200, run

BOTH = {Role.PREFILL: 1, Role.DECODE: 1}


def at_ticks(plans: Mapping[float, Mapping[Role, int]], seen: list[Tick] | None = None):
    def plan(tick: Tick) -> Mapping[Role, int] | None:
        if seen is not None:
            seen.append(tick)
        return plans.get(tick.t_s)

    return plan


def test_a_new_replica_is_billed_at_once_and_serves_after_its_start() -> None:
    seen: list[Tick] = []
    requests = Requests.of(np.arange(0.5, 300, 1.0), 100, 1)
    outcome = run(
        constant(),
        requests,
        {Role.PREFILL: 1},
        plan=at_ticks({60.0: {Role.PREFILL: 3}}, seen),
        start_up_s=90.0,
        duration_s=300.0,
    )
    counts = [(tick.roles[Role.PREFILL].ready, tick.roles[Role.PREFILL].pending) for tick in seen]
    assert counts == [(1, 0), (1, 2), (3, 0), (3, 0)]
    assert outcome.replica_s[Role.PREFILL] == pytest.approx(300 + 2 * 240)
    assert outcome.gpu_hours({Role.PREFILL: 4}) == pytest.approx(4 * 780 / 3600)


def test_pending_replicas_go_first_and_at_once() -> None:
    outcome = run(
        constant(),
        Requests.of([0.0, 299.0], 100, 1),
        {Role.PREFILL: 1},
        plan=at_ticks({60.0: {Role.PREFILL: 3}, 120.0: {Role.PREFILL: 1}}),
        start_up_s=1000.0,
        duration_s=300.0,
    )
    assert outcome.replica_s[Role.PREFILL] == pytest.approx(300 + 2 * 60)
    assert [(action.before, action.after) for action in outcome.actions] == [(1, 3), (3, 1)]


def test_a_draining_replica_finishes_what_it_has_and_is_billed_meanwhile() -> None:
    seen: list[Tick] = []
    requests = Requests.of([50.0, 50.0, 130.0], 100, [10_001, 10_001, 2])
    outcome = run(
        constant(prefill_ms=1, step_ms=10),
        requests,
        {Role.DECODE: 2},
        plan=at_ticks({60.0: {Role.DECODE: 1}}, seen),
        duration_s=400.0,
    )
    assert not outcome.failed.any()
    assert seen[1].roles[Role.DECODE].terminating == 1
    assert seen[2].roles[Role.DECODE].terminating == 0
    assert outcome.replica_s[Role.DECODE] == pytest.approx(400 + 150)


def test_what_is_not_drained_in_time_fails() -> None:
    requests = Requests.of([50.0, 50.0], 100, [10_001, 10_001])
    outcome = run(
        constant(step_ms=10),
        requests,
        {Role.DECODE: 2},
        plan=at_ticks({60.0: {Role.DECODE: 1}}),
        drain_s=30.0,
        duration_s=400.0,
    )
    assert outcome.failed.sum() == 1
    assert outcome.replica_s[Role.DECODE] == pytest.approx(400 + 90)


def test_a_failed_replica_loses_its_requests_and_is_replaced() -> None:
    seen: list[Tick] = []
    requests = Requests.of([10.0, 100.0], 100, [10_001, 11])
    outcome = run(
        constant(step_ms=10),
        requests,
        {Role.DECODE: 1},
        plan=at_ticks({}, seen),
        failures=(Failure(at_s=20.0, role=Role.DECODE),),
        start_up_s=110.0,
        duration_s=300.0,
    )
    assert outcome.failed.tolist() == [True, False]
    # The second waits until the replacement is ready at 130 s.
    assert outcome.ttft_ms[1] == pytest.approx(30_000)
    assert list(seen[0].failed) == [0]
    assert outcome.replica_s[Role.DECODE] == pytest.approx(300)


@pytest.mark.parametrize("dispatch", list(Dispatch))
def test_no_request_is_lost_when_replicas_come_and_go(dispatch: Dispatch) -> None:
    rng = np.random.default_rng(6)
    requests = poisson(rng, 12.0, 1200, isl=2000, osl=100)

    def plan(tick: Tick) -> Mapping[Role, int]:
        return {role: int(rng.integers(1, 5)) for role in BOTH}

    outcome = run(
        h200(),
        requests,
        BOTH,
        plan=plan,
        start_up_s=45.0,
        dispatch=dispatch,
        decode_dispatch=dispatch,
    )
    assert not outcome.failed.any()
    assert (outcome.ttft_ms >= outcome.alone_ttft_ms - 1e-6).all()


def test_a_run_is_its_seeds_and_nothing_elses() -> None:
    def once(seed: int) -> np.ndarray:
        requests = poisson(np.random.default_rng(seed), 20.0, 300, isl=3000, osl=100)
        return run(
            h200(), requests, {Role.PREFILL: 2, Role.DECODE: 2}, seed=seed, dispatch=Dispatch.RANDOM
        ).ttft_ms

    np.testing.assert_array_equal(once(1), once(1))
    assert len(once(1)) != len(once(2))


def test_a_tick_shows_what_happened_since_the_one_before() -> None:
    seen: list[Tick] = []
    requests = Requests.of([10, 59.9, 70, 200], 100, 101)
    run(constant(step_ms=10), requests, {Role.DECODE: 1}, plan=at_ticks({}, seen))
    assert [list(tick.started) for tick in seen] == [[0, 1], [2], []]
    assert [list(tick.completed) for tick in seen] == [[0], [1, 2], []]
    assert [tick.in_flight for tick in seen] == [1, 0, 0]


def test_the_sine_begins_low_and_peaks_after_half_a_period() -> None:
    requests = sine(
        np.random.default_rng(1), 5, 45, period_s=600, duration_s=1800, isl=3000, osl=300
    )
    per_minute = np.bincount((requests.arrival_s // 60).astype(int)) / 60
    assert len(requests) == pytest.approx(45_000, rel=0.02)
    assert max(per_minute[0], per_minute[10]) < 8
    assert min(per_minute[4], per_minute[25]) > 40


@pytest.mark.parametrize(
    ("arrival_s", "isl", "message"),
    [
        ([0.0, -1.0], 10, "request 1: arrival_s is -1.0"),
        ([0.0, float("nan")], 10, "request 1: arrival_s is nan"),
        ([0.0, 1.0], [10, 0], "request 1: isl is 0.0"),
    ],
)
def test_requests_that_make_no_sense_are_refused_by_number(
    arrival_s: list[float], isl: list[float], message: str
) -> None:
    with pytest.raises(RequestsError, match=message):
        Requests.of(arrival_s, isl, 1)


def test_roles_that_make_no_deployment_are_refused() -> None:
    with pytest.raises(RequestsError, match="make no deployment"):
        run(h200(), Requests.of([0, 1], 10, 10), {Role.PREFILL: 1, Role.WORKER: 1})
