"""Answers that have not ended count in how long answers are."""

from dataclasses import replace

import numpy as np
import pytest

from dgdr_planner.observe.looks import Look
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.unfinished import with_unfinished
from dgdr_planner.observe.value import Unknown, Value, number

NOW_S = 600.0
WINDOW_S = 60.0
SHARES = (0.1, 0.5, 0.9, 0.99, 1.0)


def load(began: float, ended: float, lengths: np.ndarray, queued: float = 0.0) -> LoadSeen:
    nothing = Unknown("NotMeasured", "not measured")
    return LoadSeen(
        rate_per_s=Value(began),
        isl=Value(1000.0),
        osl=Value(float(lengths.mean())),
        ttft_ms=nothing,
        itl_ms=nothing,
        duration_s=nothing,
        window_s=WINDOW_S,
        completed_per_s=Value(ended),
        queued=Value(queued),
        requests=ended * WINDOW_S,
        osl_quantiles=tuple(zip(SHARES, np.quantile(lengths, SHARES).tolist(), strict=True)),
    )


def looks(queued: float = 0.0) -> tuple[Look, ...]:
    at_s = np.arange(NOW_S - 75.0, NOW_S + 1.0, 15.0)
    return tuple(Look(at_s=at, window_s=15.0, rate_per_s=20.0, queued=queued) for at in at_s)


def ended_of(rate_per_s: float, growth_per_s: float, token_s: float) -> tuple[float, np.ndarray]:
    """Return what ends a second, and how long it is, of a load that grows exponentially."""
    lengths = np.random.default_rng(1).exponential(1800.0, 200_000)
    share = np.exp(-growth_per_s * token_s * lengths)
    kept = lengths[np.random.default_rng(2).random(lengths.size) < share]
    return rate_per_s * kept.size / lengths.size, kept


def test_answers_of_a_load_that_grows_are_as_long_as_they_are() -> None:
    ended, lengths = ended_of(20.0, 0.0015, 0.015)
    assert lengths.mean() < 0.97 * 1800.0
    found = with_unfinished(load(20.0, ended, lengths), looks(), NOW_S)
    assert number(found.osl) == pytest.approx(1800.0, rel=0.02)
    assert found.osl_quantiles is not None
    assert (np.diff([share for share, _ in found.osl_quantiles]) >= 0.0).all()


def test_a_load_that_falls_ends_the_long_ones() -> None:
    seen = load(18.0, 20.0, np.random.default_rng(1).exponential(300.0, 10_000))
    found = number(with_unfinished(seen, looks(), NOW_S).osl)
    assert found is not None
    assert found < number(seen.osl)


def test_prompts_that_wait_say_nothing_of_answers() -> None:
    seen = load(25.0, 20.0, np.full(100, 300.0) + np.arange(100), queued=300.0)
    assert number(with_unfinished(seen, looks(), NOW_S).osl) == pytest.approx(349.5)


@pytest.mark.parametrize(
    ("change", "seen_before"),
    [
        pytest.param({"completed_per_s": Unknown("NoSamples", "gone")}, looks(), id="ended"),
        pytest.param({"queued": Unknown("NoSamples", "gone")}, looks(), id="queue"),
        pytest.param({"requests": 5.0}, looks(), id="few"),
        pytest.param({}, (), id="no look"),
    ],
)
def test_what_nobody_knows_changes_nothing(
    change: dict[str, object], seen_before: tuple[Look, ...]
) -> None:
    seen = replace(load(25.0, 20.0, np.arange(1.0, 600.0)), **change)
    assert with_unfinished(seen, seen_before, NOW_S) is seen
