"""Ramps: what goes on, what is none, and who knows better."""

import numpy as np
import pytest

from dgdr_planner.forecast.ramp import ramp

STEP_S = 60.0


def swell(size: int = 30, flat: int = 15, slope: float = 3.5, seed: int = 1) -> np.ndarray:
    """Return Poisson rates that stand at 15/s and then rise by ``slope`` a window."""
    rate = 15.0 + slope * np.maximum(np.arange(size) - flat, 0.0)
    return np.random.default_rng(seed).poisson(rate * STEP_S) / STEP_S


def test_a_smooth_rise_goes_on_for_about_as_long_as_it_did() -> None:
    rate = swell()
    found = ramp(rate[:22], STEP_S)
    assert found is not None
    assert found.slope_per_s == pytest.approx(3.5, rel=0.15)
    # Three windows of it, a little less by fading, a little more by what is uncertain.
    assert rate[21] + 2.0 * 3.5 < found.goes_to(3, 0.95) < rate[21] + 4.0 * 3.5


def test_a_steady_load_is_hardly_ever_a_ramp() -> None:
    rng = np.random.default_rng(2)
    series = rng.poisson(40.0 * STEP_S, (40, 60)) / STEP_S
    seen = [ramp(one[:end], STEP_S) for one in series for end in range(10, 61)]
    assert sum(found is not None for found in seen) <= 2


def test_bursts_are_no_ramp() -> None:
    bursts = np.array([3.0, 0.0, 60.0, 0.0, 5.0, 170.0, 0.0, 0.0, 43.0, 62.0, 90.0, 130.0])
    assert ramp(bursts, STEP_S) is None


def test_a_rise_adds_no_more_than_half_of_what_is_there() -> None:
    found = ramp(np.array([*[2.0] * 12, 12.0, 22.0, 32.0]), STEP_S)
    assert found is not None
    assert found.goes_to(10, 0.95) <= 1.5 * found.level_per_s


def test_a_fall_stands_where_it_is() -> None:
    rate = swell()[::-1][:14]
    found = ramp(rate, STEP_S)
    assert found is not None
    assert found.slope_per_s < 0.0
    assert rate[-1] - 2.0 < found.stands_at(0.95) < rate[-1] + 3.0


def test_who_foresaw_a_rise_is_not_surprised_by_it() -> None:
    rate, lead = swell(slope=4.0)[:24], 3
    found = ramp(rate, STEP_S)
    assert found is not None
    foresaw = np.concatenate([rate[lead:], np.full(lead, 60.0)])
    assert not found.surprises(rate, foresaw, lead)
    assert found.surprises(rate, rate, lead)  # the last value


def test_who_foresaw_a_fall_is_not_surprised_by_it() -> None:
    rate, lead = swell(slope=4.0)[::-1][:14], 3
    found = ramp(rate, STEP_S)
    assert found is not None
    assert found.slope_per_s < 0.0
    foresaw = np.concatenate([rate[lead:], np.full(lead, 20.0)])
    assert not found.surprises(rate, foresaw, lead)
    assert found.surprises(rate, rate, lead)


def test_a_gap_ends_a_line() -> None:
    rate = swell()[:24]
    rate[-2] = np.nan
    assert ramp(rate, STEP_S) is None
