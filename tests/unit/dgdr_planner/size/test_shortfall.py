"""Why a target is missed, in words that are true of the latency that misses it."""

from dataclasses import replace

import pytest

from bench.reference import reference_engine
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import Percentile, Targets, Workload, size_aggregated, size_decode
from dgdr_planner.tell.explain import shortfall

REQUEST = "ISL 3000, OSL 300"


@pytest.fixture(scope="module")
def engine() -> EngineProfile:
    return reference_engine()


def mean(ttft_ms: float, itl_ms: float) -> Targets:
    return Targets(ttft_ms=ttft_ms, itl_ms=itl_ms, percentile=Percentile.MEAN)


def load(rate_per_s: float, isl: float = 3000, osl: float = 300) -> Workload:
    return Workload(rate_per_s=rate_per_s, isl=isl, osl=osl)


def test_an_aggregated_engine_that_is_too_slow_for_the_first_token_says_so(
    engine: EngineProfile,
) -> None:
    targets = mean(60, 5)
    said = shortfall(size_aggregated(engine, load(1), targets), REQUEST, targets)
    assert said is not None
    assert said.startswith("mean TTFT <= 60 ms ")
    assert "KV cache" not in said


def test_the_latency_of_an_aggregated_engine_is_that_of_the_target_it_misses(
    engine: EngineProfile,
) -> None:
    targets = mean(72, 2)
    answer = size_aggregated(engine, load(0.2, osl=30), targets)
    said = shortfall(answer, REQUEST, targets)
    assert answer.itl is not None
    alone = f"a request of {REQUEST} alone takes {answer.itl.alone_ms:.1f} ms"
    assert said == f"mean ITL <= 2 ms cannot be met: {alone}"


def test_a_request_that_does_not_fit_is_said(engine: EngineProfile) -> None:
    small = replace(engine, max_kv_tokens=100_000)
    targets = mean(500, 40)
    answer = size_decode(small, load(1, isl=200_000), targets)
    said = shortfall(answer, REQUEST, targets)
    assert said == f"a request of {REQUEST} does not fit into the KV cache of one replica"
