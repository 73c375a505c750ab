"""Prefill queues against theory and against a recursion that shares no code with the simulator."""

import heapq
import math

import numpy as np
import pytest

from dgdr_api.graph import Role
from dgdr_perf.queueing import Dispatch
from dgdr_perf.simulator.arrivals import Requests, poisson
from dgdr_perf.simulator.options import Failure
from support.simulated import constant, h200, run

SERVICE_S = 0.06046


def waits_s(requests: Requests, servers: int, dispatch: Dispatch, service_s: float) -> np.ndarray:
    """Seconds that each prompt waited in the simulator."""
    outcome = run(constant(1000 * service_s), requests, {Role.PREFILL: servers}, dispatch=dispatch)
    return outcome.ttft_ms / 1000 - service_s


@pytest.mark.parametrize("load", [0.3, 0.5, 0.8, 0.9])
def test_mean_wait_of_one_server_is_pollaczek_and_khinchines(load: float) -> None:
    rng = np.random.default_rng(7)
    requests = poisson(rng, load / SERVICE_S, 300_000 * SERVICE_S / load, isl=100, osl=1)
    expected_s = load * SERVICE_S / (2 * (1 - load))
    waited = waits_s(requests, 1, Dispatch.SHARED, SERVICE_S)
    # Standard error of the mean of so many correlated waits: below 2 % up to 0.9.
    assert waited.mean() == pytest.approx(expected_s, rel=0.05)


@pytest.mark.parametrize(("servers", "rate_per_s"), [(2, 24.0), (3, 45.0), (5, 80.0), (8, 120.0)])
def test_a_shared_queue_is_kiefer_and_wolfowitzs_recursion(servers: int, rate_per_s: float) -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.exponential(1 / rate_per_s, 20_000))
    isl = rng.uniform(100, 8000, len(times))
    engine = h200()
    outcome = run(
        engine, Requests.of(times, isl, 1), {Role.PREFILL: servers}, dispatch=Dispatch.SHARED
    )
    free_s = [0.0] * servers
    expected = []
    for at_s, tokens in zip(times, isl, strict=True):
        start_s = max(at_s, heapq.heappop(free_s))
        heapq.heappush(free_s, start_s + engine.prefill_ms(tokens) / 1000)
        expected.append(start_s - at_s + engine.prefill_ms(tokens) / 1000)
    np.testing.assert_allclose(outcome.ttft_ms, 1000 * np.array(expected), rtol=0, atol=1e-3)


def test_round_robin_is_lindleys_recursion_for_each_engine() -> None:
    rng = np.random.default_rng(4)
    times = np.cumsum(rng.exponential(1 / 40, 10_000))
    waited = waits_s(Requests.of(times, 100, 1), 3, Dispatch.ROUND_ROBIN, SERVICE_S)
    for engine in range(3):
        mine = times[engine::3]
        wait, expected = 0.0, [0.0]
        for gap in np.diff(mine):
            wait = max(wait + SERVICE_S - gap, 0.0)
            expected.append(wait)
        np.testing.assert_allclose(waited[engine::3], expected, atol=1e-9)


def test_random_dispatch_makes_servers_of_their_own() -> None:
    rng = np.random.default_rng(5)
    requests = poisson(rng, 3 * 12.0, 20_000, isl=100, osl=1)
    load = 12.0 * SERVICE_S
    waited = waits_s(requests, 3, Dispatch.RANDOM, SERVICE_S)
    assert waited.mean() == pytest.approx(load * SERVICE_S / (2 * (1 - load)), rel=0.03)


# Probability of waiting and mean wait (in service times) of M/D/c by Crommelin's (1932) exact
# solution: state probabilities at multiples of the service time, solved as a linear system.
def crommelin_mean_wait(servers: int, load: float, states: int = 400) -> float:
    poisson_of = [math.exp(-load)]
    for k in range(1, states):
        poisson_of.append(poisson_of[-1] * load / k)
    transition = np.zeros((states, states))
    for before in range(states):
        left = max(before - servers, 0)
        transition[before, left:] = poisson_of[: states - left]
    transition[:, -1] += 1 - transition.sum(axis=1)
    system = np.vstack([transition.T - np.eye(states), np.ones(states)])
    share = np.linalg.lstsq(system, np.r_[np.zeros(states), 1.0], rcond=None)[0]
    queued = sum((n - servers) * p for n, p in enumerate(share) if n > servers)
    return float(queued / load)


@pytest.mark.parametrize(("servers", "busy"), [(1, 0.8), (2, 0.73), (3, 0.91), (4, 0.85)])
def test_mean_wait_of_many_servers_is_crommelins(servers: int, busy: float) -> None:
    load = servers * busy
    rng = np.random.default_rng(9)
    requests = poisson(rng, load, 250_000 / load, isl=100, osl=1)
    waited = waits_s(requests, servers, Dispatch.SHARED, 1.0)
    assert waited.mean() == pytest.approx(crommelin_mean_wait(servers, load), rel=0.05)


# p95 of TTFT in ms of an engine of 60.46 ms behind Poisson arrivals, published by others.
@pytest.mark.parametrize(
    ("rate_per_s", "servers", "shared_ms", "random_ms"), [(12, 1, 355, 329), (24, 2, 198, 364)]
)
def test_p95_is_near_what_others_found(
    rate_per_s: float, servers: int, shared_ms: float, random_ms: float
) -> None:
    requests = poisson(np.random.default_rng(1), rate_per_s, 3600, isl=100, osl=1)
    for dispatch, theirs_ms in ((Dispatch.SHARED, shared_ms), (Dispatch.RANDOM, random_ms)):
        ttft_s = waits_s(requests, servers, dispatch, SERVICE_S) + SERVICE_S
        assert 1000 * np.percentile(ttft_s, 95) == pytest.approx(theirs_ms, rel=0.15)


@pytest.mark.parametrize("engines", [1, 2])
def test_the_ranks_of_an_engine_are_the_servers_of_its_queue(engines: int) -> None:
    rng = np.random.default_rng(5)
    requests = poisson(rng, 0.8 * 8 / SERVICE_S, 60.0, isl=3000, osl=1)
    spread, alone = (
        run(
            constant(1000 * SERVICE_S, ranks=ranks),
            requests,
            {Role.PREFILL: replicas},
            dispatch=Dispatch.SHARED,
        )
        for ranks, replicas in ((8 // engines, engines), (1, 8))
    )
    assert spread.ttft_ms == pytest.approx(alone.ttft_ms)


def test_a_dead_engine_loses_the_prompts_of_all_its_ranks() -> None:
    outcome = run(
        constant(1000, ranks=3),
        Requests.of([0.0, 0.0, 0.0, 2.0], 100, 1),
        {Role.PREFILL: 1},
        failures=(Failure(at_s=0.5, role=Role.PREFILL),),
        duration_s=9,
    )
    assert outcome.failed.tolist() == [True, True, True, False]
