"""The search for engines against bisection, which trusts nothing but that waits fall."""

import itertools
import math

import numpy as np
import pytest

from bench.reference import reference_engine
from dgdr_perf.assumed_lengths import with_assumed_lengths
from dgdr_perf.fewest import fewest
from dgdr_perf.queueing import Dispatch, rough_waits, wait_at
from dgdr_perf.sizing import Percentile, Targets, Workload, size_prefill
from dgdr_perf.sizing_prefill import Asked, PrefillQueue, service_time

PROFILE = reference_engine()
RATES_PER_S = (1.3, 20.0, 150.0)
PROBLEMS = [
    (dispatch, Targets(ttft_ms=ttft_ms, itl_ms=25, percentile=percentile))
    for dispatch in Dispatch
    for percentile, ttft_ms in itertools.product(
        (Percentile.MEAN, Percentile.P90, Percentile.P99), (120.0, 500.0)
    )
]


def load_of(rate_per_s: float) -> Workload:
    return with_assumed_lengths(Workload(rate_per_s=rate_per_s, isl=2048, osl=128))


def bisected(dispatch: Dispatch, load: Workload, targets: Targets) -> float:
    prompts = load.prompts()
    seconds = PROFILE.prefill.ttft_of_lengths(prompts.isl) / 1000.0
    service = service_time(load, prompts.shares, seconds)
    asked = Asked.of(prompts.shares, seconds, targets)
    low = load.rate_per_s * service.mean_s
    high = 1e4
    while high / low > 1.0 + 1e-9:
        middle = math.sqrt(low * high)
        waits = wait_at(dispatch, load.rate_per_s, middle, service)
        low, high = (middle, high) if asked.excess(waits) > 0 else (low, middle)
    return high


@pytest.mark.parametrize(("dispatch", "targets"), PROBLEMS)
def test_it_finds_what_bisection_finds(dispatch: Dispatch, targets: Targets) -> None:
    for rate_per_s in RATES_PER_S:
        load = load_of(rate_per_s)
        found = size_prefill(PROFILE, load, targets, dispatch).replicas_exact
        assert found == pytest.approx(bisected(dispatch, load, targets), rel=2e-4)


@pytest.mark.parametrize("dispatch", Dispatch)
def test_another_target_of_the_same_load_begins_at_known_waits(dispatch: Dispatch) -> None:
    strict = Targets(ttft_ms=200, itl_ms=25, percentile=Percentile.P95)
    eased = Targets(ttft_ms=200, itl_ms=25, percentile=Percentile.P90)
    alone = PrefillQueue.of(PROFILE, load_of(20.0), dispatch)
    after = PrefillQueue.of(PROFILE, load_of(20.0), dispatch)
    found, looked_at = alone.sized(eased), len(alone.waits)
    after.sized(strict)
    before = len(after.waits)
    again = after.sized(eased)
    assert again.replicas_exact == pytest.approx(found.replicas_exact, rel=1e-6)
    assert again.replicas == found.replicas
    assert len(after.waits) - before < looked_at


@pytest.mark.parametrize("dispatch", Dispatch)
def test_a_search_computes_few_queues(dispatch: Dispatch) -> None:
    looked_at = [
        len(queue.waits)
        for rate_per_s in RATES_PER_S
        for of, targets in PROBLEMS
        if of is dispatch
        for queue in [PrefillQueue.of(PROFILE, load_of(rate_per_s), dispatch)]
        if queue.sized(targets)
    ]
    # Besides, there are that of no room at all and that of the whole number of replicas.
    assert np.mean(looked_at) < 3.75 + 2


@pytest.mark.parametrize("dispatch", Dispatch)
def test_rough_waits_are_about_the_waits(dispatch: Dispatch) -> None:
    load = load_of(20.0)
    prompts = load.prompts()
    seconds = PROFILE.prefill.ttft_of_lengths(prompts.isl) / 1000.0
    service = service_time(load, prompts.shares, seconds)
    engines = load.rate_per_s * service.mean_s * np.array([1.1, 1.5])
    rough = rough_waits(dispatch, load.rate_per_s, engines, service)
    exact = [wait_at(dispatch, load.rate_per_s, float(one), service) for one in engines]
    np.testing.assert_allclose(rough.mean_s, [wait.mean_s for wait in exact], rtol=0.2)


def test_no_load_needs_no_engine() -> None:
    assert fewest(lambda _: 1.0, 0.0) == 0.0


def test_what_no_number_meets_is_more_than_any_cluster_has() -> None:
    assert fewest(lambda _: 1.0, 2.0) > 10_000


def test_a_cliff_is_found() -> None:
    assert fewest(lambda engines: 9.0 if engines < 7.0 else -0.9, 2.0) == pytest.approx(7.0)


def test_where_nobody_ever_waits_the_busy_engines_are_enough() -> None:
    assert fewest(lambda _: -1.0, 2.0) == pytest.approx(2.0)
