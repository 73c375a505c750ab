"""Decode and aggregated engines against a reference that counts single tokens."""

import numpy as np
import pytest

from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch
from dgdr_perf.simulator.arrivals import Requests, poisson
from dgdr_perf.simulator.engine import Engine
from support.simulated import constant, h200, run


def token_by_token(engine: Engine, requests: Requests) -> tuple[np.ndarray, np.ndarray]:
    """First token and finish in s of each request on one decode engine, one step at a time.

    A request that comes during a step joins after it.
    """
    count = len(requests)
    first_s, finish_s = np.full(count, np.nan), np.full(count, np.nan)
    left: dict[int, float] = {}
    context: dict[int, float] = {}
    now, coming = 0.0, 0
    while coming < count or left:
        if not left:
            now = max(now, requests.arrival_s[coming])
        while coming < count and requests.arrival_s[coming] <= now:
            first_s[coming] = now
            left[coming] = requests.osl[coming] - 1
            context[coming] = requests.isl[coming] + 1
            coming += 1
        now += engine.step_ms(len(left), sum(context.values())) / 1000
        for request in list(left):
            left[request] -= 1
            context[request] += 1
            if left[request] <= 0:
                finish_s[request] = now
                del left[request], context[request]
    return first_s, finish_s


@pytest.mark.parametrize("rate_per_s", [0.5, 5.0, 14.0])
def test_steps_in_between_are_those_of_single_tokens(rate_per_s: float) -> None:
    rng = np.random.default_rng(2)
    times = np.cumsum(rng.exponential(1 / rate_per_s, 300))
    requests = Requests.of(times, rng.integers(100, 8000, 300), rng.integers(20, 600, 300))
    engine = h200()
    outcome = run(engine, requests, {Role.DECODE: 1})
    first_s, finish_s = token_by_token(engine, requests)
    itl_ms = 1000 * (finish_s - first_s) / (requests.osl - 1)
    # The reference lets a request wait for the end of a step: at most one step of about 10 ms.
    assert np.abs(outcome.finish_s - finish_s).max() < 0.025
    np.testing.assert_allclose(outcome.itl_ms.mean(), itl_ms.mean(), rtol=0.01)


def test_a_request_alone_takes_the_sum_of_its_steps() -> None:
    outcome = run(h200(), Requests.of([0.0], 3000, 301), {Role.DECODE: 1}, duration_s=60.0)
    steps = [4.452 + 0.022245 + 3.16e-5 * (3001 + done) for done in range(300)]
    assert 1000 * outcome.finish_s[0] == pytest.approx(sum(steps), rel=1e-4)


def test_littles_law_holds_for_the_requests_in_flight() -> None:
    requests = poisson(np.random.default_rng(1), 12.0, 600, isl=3000, osl=300)
    outcome = run(h200(), requests, {Role.PREFILL: 1, Role.DECODE: 1})
    order = np.argsort(np.r_[requests.arrival_s, outcome.finish_s])
    change = np.r_[np.ones(len(requests)), -np.ones(len(requests))][order]
    times = np.r_[requests.arrival_s, outcome.finish_s][order]
    mean_in_flight = np.sum(np.cumsum(change)[:-1] * np.diff(times)) / (times[-1] - times[0])
    stay_s = (outcome.finish_s - requests.arrival_s).mean()
    rate_per_s = len(requests) / (times[-1] - times[0])
    assert mean_in_flight == pytest.approx(rate_per_s * stay_s, rel=1e-6)


def test_the_batch_limit_makes_requests_wait_for_their_first_token() -> None:
    outcome = run(
        constant(max_batch=2), Requests.of([0, 0, 0], 10, 101), {Role.DECODE: 1}, duration_s=9
    )
    assert outcome.ttft_ms.tolist() == pytest.approx([0, 0, 1000])


def test_a_request_is_admitted_when_its_last_token_has_room() -> None:
    engine = constant(max_kv_tokens=2 * 1101)
    outcome = run(engine, Requests.of([0, 0, 0], 1000, 101), {Role.DECODE: 1}, duration_s=9)
    assert outcome.ttft_ms.tolist() == pytest.approx([0, 0, 1000])


def test_a_request_larger_than_the_cache_is_refused_and_holds_up_nobody() -> None:
    engine = constant(max_kv_tokens=500)
    outcome = run(engine, Requests.of([0, 1], [1000, 100], 101), {Role.DECODE: 1})
    assert outcome.failed.tolist() == [True, False]
    assert outcome.hopeless(1e9, 1e9).tolist() == [True, False]
    assert outcome.within(1e9, 1e9).tolist() == [False, True]


def test_the_least_loaded_replica_takes_the_next_request() -> None:
    requests = Requests.of([0.0, 0.0, 0.0, 0.0], 10, [1001, 11, 11, 11])
    outcome = run(h200(), requests, {Role.DECODE: 2}, decode_dispatch=Dispatch.SHARED, duration_s=9)
    # The second finds the other replica, alone there until the third comes.
    assert outcome.itl_ms[1] < h200().step_ms(3, 30)


def test_a_prompt_holds_up_the_tokens_of_an_aggregated_engine() -> None:
    requests = Requests.of([0.0, 0.5], 100, [101, 2])
    outcome = run(constant(prefill_ms=100, step_ms=10), requests, {Role.WORKER: 1})
    # 100 ms prompt, 40 steps, 100 ms of the other's prompt, 60 steps.
    assert outcome.finish_s[0] == pytest.approx(0.1 + 1.0 + 0.1)
    assert outcome.ttft_ms.tolist() == pytest.approx([100, 100])


def test_aggregated_prompts_wait_for_each_other() -> None:
    outcome = run(constant(100), Requests.of([0, 0, 0], 100, 11), {Role.WORKER: 1}, duration_s=9)
    assert outcome.ttft_ms.tolist() == pytest.approx([100, 200, 300])
    assert outcome.finish_s.tolist() == pytest.approx([0.4, 0.4, 0.4])


def test_ranks_compute_a_prompt_each_and_wait_for_each_other_before_they_step() -> None:
    requests = Requests.of([0.0, 0.05, 0.05], 100, [11, 11, 11])
    outcome = run(constant(100, ranks=2), requests, {Role.WORKER: 1}, duration_s=9)
    # The third waits for the first rank that is free; until it is done nobody steps.
    assert outcome.ttft_ms.tolist() == pytest.approx([100, 100, 150])
    assert outcome.finish_s.tolist() == pytest.approx([0.3, 0.3, 0.3])


def test_prompts_side_by_side_are_admitted_only_with_room_for_all_of_them() -> None:
    engine = constant(100, ranks=4, max_kv_tokens=250)
    outcome = run(engine, Requests.of([0, 0, 0], 100, 11), {Role.WORKER: 1}, duration_s=9)
    assert outcome.ttft_ms.tolist() == pytest.approx([100, 100, 300])


def test_the_transfer_delays_the_first_token() -> None:
    outcome = run(
        constant(100),
        Requests.of([0], 1000, 11),
        {Role.PREFILL: 1, Role.DECODE: 1},
        transfer_ms_per_token=0.02,
        transfer_fixed_ms=5.0,
        duration_s=10.0,
    )
    assert outcome.ttft_ms[0] == pytest.approx(125)
    assert outcome.alone_ttft_ms[0] == pytest.approx(125)
