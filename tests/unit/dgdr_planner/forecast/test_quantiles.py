"""The planned quantile holds as often as it says, on data that nobody tuned for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dgdr_planner.forecast.conformal import upper


def covered(noise: np.ndarray, base: np.ndarray, quantile: float, lead: int = 1) -> float:
    seen = base + noise
    hits = [
        seen[t] <= upper(seen[: t - lead + 1], base[: t - lead + 1], base[t], quantile, lead, 60.0)
        for t in range(lead, seen.size)
    ]
    return float(np.mean(hits))


@pytest.mark.parametrize(
    ("quantile", "kind"),
    [
        (0.8, "normal"),
        (0.9, "normal"),
        (0.95, "normal"),
        (0.9, "lognormal"),
        (0.9, "multiplicative"),
        (0.9, "growing"),
    ],
)
def test_a_quantile_holds_as_often_as_it_says(quantile: float, kind: str) -> None:
    rng = np.random.default_rng(11)
    size = 400
    base = 30.0 + 20.0 * np.sin(np.arange(size) / 15.0)
    noise = {
        "normal": rng.normal(0.0, 3.0, size),
        "lognormal": rng.lognormal(0.0, 1.0, size) - 1.0,
        "multiplicative": base * rng.normal(0.0, 0.2, size),
        "growing": rng.normal(0.0, 1.0, size) * np.linspace(1.0, 8.0, size),
    }[kind]
    assert covered(noise, base, quantile) == pytest.approx(quantile, abs=0.04)


def test_the_first_windows_are_neither_reckless_nor_boundless() -> None:
    planned = upper(np.empty(0), np.empty(0), 20.0, 0.9, 1, 60.0)
    assert 22.0 < planned < 30.0
    assert upper(np.empty(0), np.empty(0), 20.0, 0.9, 4, 60.0) > planned


def test_no_noise_needs_no_width() -> None:
    seen = np.full(100, 20.0)
    assert upper(seen, seen, 20.0, 0.9, 1, 60.0) == 20.0


def test_silence_before_a_burst_does_not_blow_up_the_plan() -> None:
    seen = np.array([1.0, 0, 0, 9, 3, 2, 0, 1, 1, 8, 7, 1])
    said = np.concatenate([[1.0], seen[:-1]])
    assert upper(seen, said, 9.0, 0.9, 1, 60.0) < 40.0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1e4), st.floats(0, 1e4)), max_size=60),
    st.floats(0, 1e4),
    st.sampled_from([0.5, 0.9, 0.99]),
    st.integers(1, 5),
)
def test_never_less_than_the_forecast_and_always_a_number(
    past: list[tuple[float, float]], now: float, quantile: float, lead: int
) -> None:
    table = np.array(past).reshape(-1, 2)
    planned = upper(table[:, 0], table[:, 1], now, quantile, lead, 60.0)
    assert now <= planned < 1e10
