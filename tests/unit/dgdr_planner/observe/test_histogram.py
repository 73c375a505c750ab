import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_planner.observe.histogram import Histogram

HELD = Histogram((0.1, 0.2, 0.4), (50.0, 90.0, 100.0), 100.0)


@pytest.mark.parametrize(
    ("share", "value"),
    [(0.0, 0.0), (0.25, 0.05), (0.5, 0.1), (0.7, 0.15), (0.9, 0.2), (0.95, 0.3), (1.0, 0.4)],
)
def test_a_quantile_lies_evenly_in_its_bucket(share: float, value: float) -> None:
    assert HELD.quantile(share) == pytest.approx(value)


@pytest.mark.parametrize(
    ("limit", "share"), [(0.0, 0.0), (0.05, 0.25), (0.1, 0.5), (0.15, 0.7), (0.4, 1.0), (9.0, 1.0)]
)
def test_a_share_lies_evenly_in_its_bucket(limit: float, share: float) -> None:
    assert HELD.share_within(limit) == pytest.approx(share)


def test_beyond_the_last_bound_nothing_is_within() -> None:
    held = Histogram.of([(1.0, 60.0), (math.inf, 100.0)])
    assert held is not None
    assert held.quantile(0.99) == 1.0
    assert held.share_within(50.0) == pytest.approx(0.6)
    assert held.points() == ((0.0, 0.0), (0.6, 1.0), (1.0, 1.0))


def test_buckets_of_two_spellings_are_added_and_a_hole_is_filled() -> None:
    held = Histogram.of([(2.0, 3.0), (1.0, 5.0), (1.0, 5.0), (math.inf, 20.0)])
    assert held == Histogram((1.0, 2.0), (10.0, 10.0), 20.0)


@pytest.mark.parametrize("pairs", [[], [(1.0, 0.0), (math.inf, 0.0)], [(math.inf, 9.0)]])
def test_nothing_observed_is_no_histogram(pairs: list[tuple[float, float]]) -> None:
    assert Histogram.of(pairs) is None


def test_empty_buckets_below_are_left_out_of_the_points() -> None:
    held = Histogram((100.0, 200.0, 400.0), (0.0, 0.0, 10.0), 10.0)
    assert held.points() == ((0.0, 200.0), (1.0, 400.0))
    assert held.points(mean=270.0) == ((0.0, 180.0), (1.0, 360.0))


@given(
    st.lists(st.floats(0, 1e9), min_size=2, max_size=20),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(1, 1e6),
)
def test_whatever_the_buckets_everything_is_ascending(
    grown: list[float], one: float, other: float, mean: float
) -> None:
    held = Histogram.of([*((2.0**n, g) for n, g in enumerate(grown)), (math.inf, grown[0])])
    if held is None:
        return
    low, high = sorted((one, other))
    assert held.quantile(low) <= held.quantile(high) <= held.bounds[-1]
    shares, values = zip(*held.points(mean), strict=True)
    assert list(shares) == sorted(shares)
    assert list(values) == sorted(values)
    assert shares[0] == 0.0
    assert shares[-1] == 1.0
    assert all(map(math.isfinite, values))
