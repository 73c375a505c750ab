"""The history: bounded, gaps kept, the same however it came."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_planner.forecast import Demand
from dgdr_planner.forecast.demand import AT, ISL, KEPT_S, RATE, RECENT, WINDOW
from dgdr_planner.forecast.grid import on_grid
from dgdr_planner.observe.history import Sample
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import Idle, Unknown, Value


def sample(at_s: float, rate_per_s: float | None = 1.0, **lengths: float | None) -> Sample:
    return Sample(at_s=at_s, window_s=60.0, rate_per_s=rate_per_s, **lengths)


def fed(samples: list[Sample]) -> Demand:
    demand = Demand()
    for one in samples:
        demand = demand.with_sample(one)
    return demand


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"at_s": math.nan}, "at_s is nan"),
        ({"window_s": 0.0}, "window_s is 0.0"),
        ({"rate_per_s": -1.0}, "rate_per_s is -1.0"),
        ({"rate_per_s": math.inf}, "rate_per_s is inf"),
        ({"isl": -3.0}, "isl is -3.0"),
        ({"osl": math.nan}, "osl is nan"),
    ],
)
def test_a_bad_sample_is_refused_by_name_and_value(values: dict[str, float], named: str) -> None:
    good: dict[str, float] = {"at_s": 0.0, "window_s": 60.0, "rate_per_s": 1.0}
    with pytest.raises(ValueError, match=named):
        Sample(**(good | values))


def test_idle_is_zero_and_unknown_is_a_gap() -> None:
    load = LoadSeen.unknown("Down", "no answer", 60.0)
    assert Sample.of(load, 0.0).rate_per_s is None
    idle = LoadSeen(
        rate_per_s=Idle(),
        isl=Unknown("x", "y"),
        osl=Value(5.0),
        ttft_ms=Idle(),
        itl_ms=Idle(),
        duration_s=Idle(),
        window_s=60.0,
    )
    seen = Sample.of(idle, 7.0)
    assert (seen.rate_per_s, seen.isl, seen.osl, seen.at_s) == (0.0, None, 5.0, 7.0)


def test_a_repeated_window_counts_once_and_the_newest_word_wins() -> None:
    demand = fed([sample(60, 1.0), sample(120, 2.0), sample(120, 3.0)])
    assert demand.recent[:, RATE].tolist() == [1.0, 3.0]


def test_a_clock_that_was_set_back_does_not_stop_the_history() -> None:
    demand = fed([sample(60, 1.0), sample(99_999, 2.0), sample(120, 3.0), sample(180, 4.0)])
    assert demand.recent[:, RATE].tolist() == [1.0, 3.0, 4.0]


def test_restored_is_what_was_fed_in_any_order() -> None:
    samples = [sample(60.0 * k, float(k % 7), isl=100.0 + k) for k in range(RECENT + 100)]
    shuffled = [samples[k] for k in np.random.default_rng(1).permutation(len(samples))]
    restored, grown = Demand.restored(shuffled), fed(samples)
    assert np.array_equal(restored.recent, grown.recent, equal_nan=True)
    assert restored.older == pytest.approx(grown.older, nan_ok=True)


def test_ten_thousand_windows_take_less_than_fifty_kilobytes_and_a_week() -> None:
    demand = Demand.from_series(np.arange(30_000) * 60.0, np.ones(30_000), 60.0)
    assert len(demand) == RECENT
    assert demand.recent.nbytes + demand.older.nbytes < 50_000
    assert demand.recent[-1, AT] - demand.older[0, AT] <= KEPT_S
    for k in range(100):
        demand = demand.with_sample(sample(30_000 * 60.0 + 60.0 * k))
    assert demand.recent.nbytes + demand.older.nbytes < 50_000


def test_older_windows_keep_requests_and_weigh_lengths_by_them() -> None:
    rate = np.where(np.arange(RECENT + 15) % 2, 3.0, 1.0)
    rate[2] = np.nan
    isl = np.where(rate == 3.0, 100.0, 500.0)
    demand = Demand.from_series(60.0 * np.arange(1, RECENT + 16), rate, 60.0, isl=isl)
    (bin_,) = demand.older
    assert bin_[WINDOW] == 14 * 60.0
    assert bin_[RATE] == pytest.approx(np.nanmean(rate[:15]))
    assert bin_[ISL] == pytest.approx((7 * 500 + 7 * 3 * 100) / (7 + 21))


def test_what_no_meter_can_mean_is_unknown_not_zero() -> None:
    demand = Demand.from_series([0, 60, 120, 180], [1.0, -1.0, math.inf, math.nan], 60.0)
    assert np.isnan(demand.recent[1:, RATE]).all()


def test_columns_of_unequal_length_are_refused() -> None:
    with pytest.raises(ValueError, match="rate_per_s has 1 values for 2 times"):
        Demand.from_series([0.0, 60.0], [1.0], 60.0)


def test_missing_windows_are_gaps_on_the_grid() -> None:
    grid = on_grid(fed([sample(60.0 * k, 2.0) for k in (0, 1, 2, 3, 6, 7, 8)]))
    assert grid.step_s == 60.0
    assert np.isnan(grid.rate_per_s).tolist() == [False] * 4 + [True] * 2 + [False] * 3


def test_windows_a_little_early_or_late_fall_on_their_step() -> None:
    rng = np.random.default_rng(2)
    demand = fed([sample(60.0 * k + rng.uniform(-12, 12), float(k)) for k in range(50)])
    grid = on_grid(demand)
    assert grid.rate_per_s.tolist() == list(range(50))


rates = st.one_of(st.none(), st.floats(0, 1e6))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(1, 5_000), rates), min_size=1, max_size=60))
def test_any_spacing_keeps_order_bounds_and_known_values(
    steps: list[tuple[float, float | None]],
) -> None:
    at_s, samples = 0.0, []
    for step_s, rate in steps:
        at_s += step_s
        samples.append(sample(at_s, rate))
    demand = fed(samples)
    assert (np.diff(demand.recent[:, AT]) > 0).all()
    told = [0.0 if one.rate_per_s is None else one.rate_per_s for one in samples]
    assert np.nan_to_num(demand.recent[:, RATE]).tolist() == told
    grid = on_grid(demand)
    assert np.isfinite(grid.rate_per_s[-1]) >= (samples[-1].rate_per_s is not None)
