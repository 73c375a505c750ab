"""Lengths of requests: chance is evened out, news is not."""

import numpy as np
import pytest

from dgdr_planner.forecast.lengths import expected_lengths

NAN = np.nan


def told(lengths: np.ndarray, requests: np.ndarray) -> float | None:
    return expected_lengths(lengths[None], requests)[0]


def windows(mean: float, size: int = 30, requests: float = 1000.0, seed: int = 1) -> np.ndarray:
    """Return mean lengths of windows, of answers whose squared variation is 2."""
    return mean * (
        1.0 + np.random.default_rng(seed).normal(0.0, 1.0, size) * (2.0 / requests) ** 0.5
    )


def test_chance_is_evened_out() -> None:
    errors = []
    for seed in range(20):
        found = told(windows(300.0, seed=seed), np.full(30, 1000.0))
        assert found is not None
        errors.append(found / 300.0 - 1.0)
    assert np.std(errors) < 0.6 * (2.0 / 1000.0) ** 0.5


def test_lengths_that_change_are_news_at_once() -> None:
    lengths = np.append(windows(300.0), 600.0)
    assert told(lengths, np.full(31, 1000.0)) == pytest.approx(600.0)


def test_a_window_of_few_requests_is_no_news() -> None:
    lengths, requests = np.append(windows(300.0), 500.0), np.append(np.full(30, 1000.0), 5.0)
    assert told(lengths, requests) == pytest.approx(300.0, rel=0.05)


def test_what_was_known_long_ago_is_better_than_nothing() -> None:
    lengths = np.full(300, NAN)
    lengths[3] = 250.0
    assert told(lengths, np.ones(300)) == 250.0
    assert told(np.full(300, NAN), np.ones(300)) is None
