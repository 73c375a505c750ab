from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.prefill_curve import PrefillCurve
from dgdr_perf.queueing import Dispatch, wait_at
from dgdr_perf.service_time import ServiceTime
from dgdr_perf.sizing import (
    Binding,
    Percentile,
    Sizing,
    Targets,
    Workload,
    size_decode,
    size_prefill,
)

ISLS = [128.0, 512.0, 2048.0, 8192.0, 16384.0]
CELLS = [(b, c) for b in (1.0, 8.0, 64.0, 128.0) for c in (300.0, 1200.0, 4800.0)]
H200 = EngineProfile(
    prefill=PrefillCurve.fit(ISLS, [18.55 + 0.01411 * i + 4.919e-7 * i * i for i in ISLS]),
    decode=DecodeSurface.fit(
        [b for b, _ in CELLS],
        [c for _, c in CELLS],
        [4.452 + 0.022245 * b + 3.160e-5 * b * c for b, c in CELLS],
    ),
    max_kv_tokens=945_029,
)
NOISE = np.random.default_rng(7).lognormal(0, 0.1, 200)
NOISY = EngineProfile(
    prefill=PrefillCurve.fit(
        ISLS * 3, [(20 + 0.02 * i) * n for i, n in zip(ISLS * 3, NOISE, strict=False)]
    ),
    decode=DecodeSurface.fit(
        [b for b, _ in CELLS],
        [c for _, c in CELLS],
        [(8 + 0.1 * b + 1e-4 * b * c) * n for (b, c), n in zip(CELLS, NOISE, strict=False)],
    ),
    max_kv_tokens=65_536,
)
LOAD = Workload(rate_per_s=10, isl=3000, osl=300)
SLA = Targets(ttft_ms=200, itl_ms=10)


@pytest.mark.parametrize(
    ("rate", "replicas"),
    # Simulated optimum for p95 <= 200 ms: equal prompts of 60.5 ms, shared queue.
    [(8, 1), (12, 2), (16, 2), (24, 2), (28, 3), (32, 3), (45, 4), (48, 4), (60, 5), (80, 6)],
)
def test_prefill_meets_a_published_simulation(rate: float, replicas: int) -> None:
    load = Workload(rate_per_s=rate, isl=2999, osl=300, service_cv2=0)
    targets = replace(SLA, percentile=Percentile.P95)
    assert abs(size_prefill(H200, load, targets, Dispatch.SHARED).replicas - replicas) <= 1


def lindley_p95_ms(
    rate: float, service_s: float, engines: int, dispatch: Dispatch, seed: int
) -> float:
    """Exact waiting times of a simulated stream: each engine's next free moment."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / rate, 20_000))
    chosen = rng.integers(0, engines, arrivals.size)
    free = [0.0] * engines
    times = []
    for number, arrival in enumerate(arrivals.tolist()):
        if dispatch is Dispatch.SHARED:
            engine = free.index(min(free))
        elif dispatch is Dispatch.RANDOM:
            engine = int(chosen[number])
        else:
            engine = number % engines
        free[engine] = max(free[engine], arrival) + service_s
        times.append(free[engine] - arrival)
    return float(np.percentile(times, 95)) * 1000


@pytest.mark.parametrize("dispatch", Dispatch)
def test_the_asked_percentile_holds_in_a_simulated_queue(dispatch: Dispatch) -> None:
    targets = Targets(ttft_ms=200, itl_ms=10, percentile=Percentile.P95)
    late = []
    for rate in (2, 5, 9, 14, 20, 27, 35, 50, 70, 100):
        load = Workload(rate_per_s=rate, isl=3000, osl=300, service_cv2=0)
        answer = size_prefill(H200, load, targets, dispatch)
        p95 = lindley_p95_ms(rate, answer.alone_ms / 1000, answer.replicas, dispatch, seed=rate)
        if p95 > 200:
            late.append((rate, answer.replicas, round(p95)))
    assert late == []


def test_prefill_says_what_an_unreachable_target_would_be() -> None:
    answer = size_prefill(H200, LOAD, Targets(ttft_ms=30, itl_ms=10))
    assert not answer.reachable
    assert answer.alone_ms == pytest.approx(65.3, rel=0.02)
    assert answer.in_range


def test_decode_says_what_an_unreachable_target_would_be() -> None:
    answer = size_decode(H200, LOAD, Targets(ttft_ms=200, itl_ms=2))
    assert not answer.reachable
    assert answer.alone_ms == pytest.approx(4.57, rel=0.02)


def test_decode_follows_littles_law() -> None:
    load = Workload(rate_per_s=20, isl=1000, osl=400)
    answer = size_decode(H200, load, Targets(ttft_ms=200, itl_ms=8))
    in_flight = 20 / answer.replicas * 400 * answer.latency_ms / 1000
    expected = 4.452 + (in_flight + 1) * (0.022245 + 3.16e-5 * 1200)
    assert answer.latency_ms == pytest.approx(expected, rel=0.02)
    assert answer.latency_ms <= 8
    fewer = 20 / max(answer.replicas - 1, 1) * 400 * 8 / 1000
    assert answer.replicas == 1 or 4.452 + (fewer + 1) * (0.022245 + 3.16e-5 * 1200) > 8


def test_decode_never_overflows_the_cache() -> None:
    load = Workload(rate_per_s=50, isl=6000, osl=400)
    answer = size_decode(NOISY, load, Targets(ttft_ms=500, itl_ms=1000))
    assert answer.binding is Binding.KV
    in_flight = 50 / answer.replicas * 400 * answer.latency_ms / 1000
    assert in_flight * 6200 <= 65_536


def test_a_request_larger_than_the_cache_is_unreachable() -> None:
    load = Workload(rate_per_s=1, isl=65_000, osl=1000)
    assert not size_decode(NOISY, load, Targets(ttft_ms=500, itl_ms=1000)).reachable


def test_no_load_needs_one_replica() -> None:
    idle = replace(LOAD, rate_per_s=0)
    for answer in (size_prefill(H200, idle, SLA), size_decode(H200, idle, SLA)):
        assert (answer.replicas, answer.busy, answer.binding) == (1, 0, Binding.FLOOR)


def test_absurd_load_ends() -> None:
    absurd = replace(LOAD, rate_per_s=1e9)
    for answer in (size_prefill(H200, absurd, SLA), size_decode(H200, absurd, SLA)):
        assert (answer.replicas, answer.binding, answer.reachable) == (10_000, "limit", False)


profiles = st.sampled_from([H200, NOISY])
loads = st.builds(
    Workload,
    rate_per_s=st.floats(0, 300),
    isl=st.floats(16, 40_000),
    osl=st.floats(1, 4000),
    service_cv2=st.floats(0, 2),
)
targets = st.builds(
    Targets,
    ttft_ms=st.floats(5, 5000),
    itl_ms=st.floats(1, 300),
    percentile=st.sampled_from(Percentile),
)
worse = st.sampled_from(["rate_per_s", "isl", "osl", "service_cv2", "ttft_ms", "itl_ms"])


def strained(load: Workload, sla: Targets, what: str, by: float) -> tuple[Workload, Targets]:
    if what.endswith("_ms"):
        return load, replace(sla, **{what: getattr(sla, what) / by})
    return replace(load, **{what: getattr(load, what) * by}), sla


def sized(
    profile: EngineProfile, load: Workload, sla: Targets, dispatch: Dispatch
) -> tuple[Sizing, Sizing]:
    return size_prefill(profile, load, sla, dispatch), size_decode(profile, load, sla)


@settings(max_examples=300)
@given(
    profile=profiles,
    load=loads,
    sla=targets,
    what=worse,
    by=st.floats(1, 1.5),
    dispatch=st.sampled_from(Dispatch),
)
def test_more_load_or_a_stricter_target_never_needs_fewer(
    profile: EngineProfile, load: Workload, sla: Targets, what: str, by: float, dispatch: Dispatch
) -> None:
    before = sized(profile, load, sla, dispatch)
    after = sized(profile, *strained(load, sla, what, by), dispatch)
    for less, more in zip(before, after, strict=True):
        assert more.replicas >= less.replicas >= 1
        assert np.isfinite(less.latency_ms) or less.binding is Binding.LIMIT
        assert less.latency_ms >= less.alone_ms * (1 - 1e-9)


@settings(max_examples=150)
@given(profile=profiles, load=loads, sla=targets, what=worse)
def test_one_percent_more_needs_hardly_more(
    profile: EngineProfile, load: Workload, sla: Targets, what: str
) -> None:
    before = sized(profile, load, sla, Dispatch.ROUND_ROBIN)
    after = sized(profile, *strained(load, sla, what, 1.01), Dispatch.ROUND_ROBIN)
    for less, more in zip(before, after, strict=True):
        assert more.replicas <= max(less.replicas + 1, less.replicas * 1.15)


@settings(deadline=None)
@given(
    load=st.floats(0.01, 50),
    cv2=st.floats(0, 2),
    dispatch=st.sampled_from(Dispatch),
)
def test_each_further_engine_shortens_the_wait(load: float, cv2: float, dispatch: Dispatch) -> None:
    service = ServiceTime(np.ones(1), np.ones(1), cv2)
    fewest = int(load) + 1
    means = [wait_at(dispatch, load, fewest + more, service).mean_s for more in range(20)]
    # A lattice of times rounds.
    assert all(more <= less + 1e-5 for less, more in pairwise(means))
