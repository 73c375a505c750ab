import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_perf.curve_fit import ProfileError
from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.prefill_curve import PrefillCurve


def truth_ttft(isl: float) -> float:
    """Published fit of an 8B model on H200."""
    return 18.55 + 0.014110 * isl + 4.919e-7 * isl**2


def truth_itl(batch: float, context: float) -> float:
    return 4.452 + 0.022245 * batch + 3.160e-5 * batch * context


ISLS = [128.0, 512.0, 2048.0, 8192.0, 16384.0]
CELLS = [(b, c) for b in (1.0, 4.0, 16.0, 64.0) for c in (300.0, 1200.0, 4800.0)]


def surface(cells: list[tuple[float, float]] = CELLS) -> DecodeSurface:
    itl = [truth_itl(b, c) for b, c in cells]
    return DecodeSurface.fit([b for b, _ in cells], [c for _, c in cells], itl)


@pytest.mark.parametrize("isl", [128, 300, 1000, 5000, 16384])
def test_prefill_meets_the_physics_between_the_points(isl: float) -> None:
    curve = PrefillCurve.fit(ISLS, [truth_ttft(i) for i in ISLS])
    estimate = curve.ttft_ms(isl)
    assert estimate.value_ms == pytest.approx(truth_ttft(isl), rel=0.01)
    assert estimate.in_range


@pytest.mark.parametrize(("batch", "context"), [(2, 600), (32, 2400), (64, 4800), (9, 3000)])
def test_decode_meets_the_physics_between_the_points(batch: float, context: float) -> None:
    estimate = surface().itl_ms(batch, context)
    assert estimate.value_ms == pytest.approx(truth_itl(batch, context), rel=0.01)
    assert estimate.in_range


@pytest.mark.parametrize("isl", [20_000, 32_000, 131_072])
def test_prefill_beyond_the_points_is_pessimistic_and_says_so(isl: float) -> None:
    estimate = PrefillCurve.fit(ISLS, [truth_ttft(i) for i in ISLS]).ttft_ms(isl)
    assert truth_ttft(isl) <= estimate.value_ms <= 2 * truth_ttft(isl)
    assert not estimate.in_range


def test_decode_beyond_the_points_is_pessimistic_and_says_so() -> None:
    estimate = surface().itl_ms(256, 4800)
    assert truth_itl(256, 4800) <= estimate.value_ms <= 2 * truth_itl(256, 4800)
    assert not estimate.in_range


def test_one_point_is_enough_and_grows_at_least_in_proportion() -> None:
    curve = PrefillCurve.fit([2048], [47.5])
    assert curve.ttft_ms(2048).value_ms == pytest.approx(47.5, rel=1e-3)
    assert curve.ttft_ms(4096).value_ms >= 95.0
    assert curve.ttft_ms(512).value_ms >= 47.5 / 4
    assert DecodeSurface.fit([8], [1000], [6.0]).itl_ms(8, 1000).value_ms == pytest.approx(6.0)


def test_points_of_one_context_are_enough() -> None:
    cells = [(b, 1000.0) for b in (1.0, 8.0, 32.0)]
    assert surface(cells).itl_ms(16, 1000).value_ms == pytest.approx(truth_itl(16, 1000), rel=0.01)


def test_order_and_repetition_change_nothing() -> None:
    times = [truth_ttft(i) for i in ISLS]
    shuffled = PrefillCurve.fit([*ISLS[::-1], *ISLS], [*times[::-1], *times])
    for isl in (100, 700, 9000, 30_000):
        expected = PrefillCurve.fit(ISLS, times).ttft_ms(isl).value_ms
        assert shuffled.ttft_ms(isl).value_ms == pytest.approx(expected, rel=1e-3)


def test_an_outlier_does_not_bend_the_curve_elsewhere() -> None:
    isls = np.linspace(200, 12_000, 15)
    times = [truth_ttft(i) for i in isls]
    times[7] *= 2.5
    curve = PrefillCurve.fit(isls.tolist(), times)
    for isl in (600, 2500, 11_000):
        assert curve.ttft_ms(isl).value_ms == pytest.approx(truth_ttft(isl), rel=0.03)


@pytest.mark.parametrize(
    ("ttft", "said"),
    [
        ([40.0, math.nan, 60.0], "prefill point 1: ttft_ms is nan"),
        ([40.0, 50.0, math.inf], "prefill point 2: ttft_ms is inf"),
        ([0.0, 50.0, 60.0], "prefill point 0: ttft_ms is 0.0"),
        ([40.0, 50.0], "columns have"),
        ([], "columns have"),
    ],
)
def test_a_bad_point_is_refused_by_its_index(ttft: list[float], said: str) -> None:
    with pytest.raises(ProfileError, match=said):
        PrefillCurve.fit([100, 200, 300] if ttft else [], ttft)


latencies = st.lists(
    st.tuples(st.floats(16, 60_000), st.floats(0.5, 5000)), min_size=1, max_size=12
)


@settings(deadline=None)
@given(points=latencies, isl=st.floats(1, 200_000), more=st.floats(1.0, 1.5))
def test_prefill_never_falls_and_never_jumps(
    points: list[tuple[float, float]], isl: float, more: float
) -> None:
    curve = PrefillCurve.fit([p[0] for p in points], [p[1] for p in points])
    here, there = curve.ttft_ms(isl).value_ms, curve.ttft_ms(isl * more).value_ms
    hair = curve.ttft_ms(isl * (1 + 1e-9)).value_ms
    assert math.isfinite(here)
    assert here > 0
    assert there >= here * (1 - 1e-12)
    assert hair == pytest.approx(here, rel=1e-3)


cells = st.lists(
    st.tuples(st.floats(1, 512), st.floats(16, 32_000), st.floats(0.5, 500)),
    min_size=1,
    max_size=16,
)


@settings(deadline=None)
@given(
    points=cells,
    batch=st.floats(1, 2000),
    context=st.floats(16, 100_000),
    more=st.floats(1.0, 1.5),
)
def test_decode_never_falls(
    points: list[tuple[float, float, float]], batch: float, context: float, more: float
) -> None:
    fitted = DecodeSurface.fit(*(list(column) for column in zip(*points, strict=True)))
    here = fitted.itl_ms(batch, context).value_ms
    assert math.isfinite(here)
    assert here > 0
    assert fitted.itl_ms(batch * more, context).value_ms >= here * (1 - 1e-12)
    assert fitted.itl_ms(batch, context * more).value_ms >= here * (1 - 1e-12)
