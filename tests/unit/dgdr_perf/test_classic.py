"""Upstream's own planner unit cases about sizing and budget, and its corners."""

from dataclasses import replace

import numpy as np
import pytest

from bench.reference import reference_data
from dgdr_perf.classic import (
    ClassicError,
    ClassicInput,
    ClassicProfile,
    classic_replicas,
    decode_correction,
    prefill_correction,
    replicas_at,
)
from dgdr_perf.curve_fit import ProfileError

# Upstream mocks the interpolations in these: tokens per second per GPU.
PREFILL, DECODE = 40_000.0, 10_000.0
WINDOW = ClassicInput(
    n=10, isl=3000, osl=150, interval_s=60, ttft_ms=80, itl_ms=10, max_gpu_budget=10
)


@pytest.fixture(scope="module")
def profile() -> ClassicProfile:
    return ClassicProfile.of(*reference_data())


@pytest.mark.parametrize(
    ("change", "prefill_thpt", "decode_thpt", "expected"),
    [
        pytest.param({}, PREFILL, DECODE, (1, 1), id="low load"),
        pytest.param({"n": 500}, PREFILL, 1000.0, (1, 2), id="slow decode"),
        pytest.param({"n": 1, "min_endpoint": 2}, PREFILL, DECODE, (2, 2), id="minimum"),
        pytest.param(
            {"n": 20, "gpus_p": 2, "gpus_d": 4}, PREFILL, 5000.0, (1, 1), id="several GPUs"
        ),
    ],
)
def test_upstreams_replica_cases(
    change: dict[str, float], prefill_thpt: float, decode_thpt: float, expected: tuple[int, int]
) -> None:
    assert replicas_at(prefill_thpt, decode_thpt, replace(WINDOW, **change)) == expected


@pytest.mark.parametrize(
    ("change", "prefill_thpt", "decode_thpt"),
    [
        ({"n": 5000, "max_gpu_budget": 3}, PREFILL, DECODE),
        ({"n": 100, "gpus_p": 2, "gpus_d": 2, "max_gpu_budget": 5}, 10_000.0, 1000.0),
    ],
)
def test_upstreams_budget_cases(
    change: dict[str, float], prefill_thpt: float, decode_thpt: float
) -> None:
    window = replace(WINDOW, **change)
    prefill, decode = replicas_at(prefill_thpt, decode_thpt, window)
    assert prefill * window.gpus_p + decode * window.gpus_d <= window.max_gpu_budget
    assert min(prefill, decode) >= 1


def test_waiting_never_adds_prefill() -> None:
    busy = replace(WINDOW, n=5000, max_gpu_budget=100)
    assert replicas_at(PREFILL, DECODE, replace(busy, p_corr=2.5)) == replicas_at(
        PREFILL, DECODE, busy
    )


@pytest.mark.parametrize("d_corr", [0, -1])
def test_a_correction_of_zero_or_less_is_none(profile: ClassicProfile, d_corr: float) -> None:
    window = replace(WINDOW, n=5000, max_gpu_budget=100)
    assert classic_replicas(profile, replace(window, d_corr=d_corr)) == classic_replicas(
        profile, window
    )


def test_corrections_compare_with_the_curves(profile: ClassicProfile) -> None:
    assert prefill_correction(profile, 2 * profile.ttft_of(3000), 3000) == pytest.approx(2.0)
    expected = profile.itl_of(10 / 2 * 3 / 60, 3075)
    found = decode_correction(profile, 1.5 * expected, WINDOW, 2, 3.0)
    assert found == pytest.approx(1.5)


def test_no_decode_replica_skips_the_adjustment(profile: ClassicProfile) -> None:
    with pytest.raises(ClassicError, match="no decode replica"):
        decode_correction(profile, 10.0, WINDOW, 0, 3.0)


def test_no_throughput_skips_the_adjustment() -> None:
    with pytest.raises(ClassicError, match="0 \\(decode\\)"):
        replicas_at(PREFILL, 0.0, WINDOW)


def test_too_few_points_are_refused() -> None:
    prefill, decode = reference_data()
    short = replace(
        prefill, isl=prefill.isl[:3], ttft_ms=prefill.ttft_ms[:3], thpt_per_gpu=prefill.isl[:3]
    )
    with pytest.raises(ProfileError, match="needs 4 different ones"):
        ClassicProfile.of(short, decode)
    line = replace(decode, context_length=tuple(350.0 for _ in decode.context_length))
    with pytest.raises(ProfileError, match="not; use the Queueing policy"):
        ClassicProfile.of(prefill, line)


def test_upstreams_defects_are_kept(profile: ClassicProfile) -> None:
    lengths = [profile.ttft_of(isl) for isl in range(100, 16_373)]
    assert int((np.diff(lengths) < 0).sum()) == 140
    assert int((profile.decode_thpt < 0).sum()) == 4
    assert profile.ttft_of(32_000) == profile.ttft_of(16_372)
