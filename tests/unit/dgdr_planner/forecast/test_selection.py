"""Who speaks: the last value, until another was clearly better, and again once it is not."""

import numpy as np

from dgdr_planner.forecast.selection import ENOUGH, Candidate, select


def model_of(seen: np.ndarray, said: np.ndarray) -> str:
    both = [
        Candidate(model="LastValue", paths=seen[:, None]),
        Candidate(model="Other", paths=said[:, None]),
    ]
    return select(seen, both).model


def alternating(size: int) -> np.ndarray:
    return np.where(np.arange(size) % 2, 20.0, 10.0) + 0.1 * np.sin(np.arange(size))


def foreseen(seen: np.ndarray) -> np.ndarray:
    return np.append(seen[1:], seen[-2])


def test_one_who_was_right_speaks_after_enough_outcomes() -> None:
    seen = alternating(40)
    assert model_of(seen, foreseen(seen)) == "Other"
    few = seen[:ENOUGH]
    assert model_of(few, foreseen(few)) == "LastValue"


def test_equally_good_is_not_better() -> None:
    seen = alternating(40)
    assert model_of(seen, seen.copy()) == "LastValue"


def test_one_large_miss_is_enough_to_back_off() -> None:
    seen = np.append(alternating(40), 90.0)
    said = foreseen(seen)
    said[-2] = seen[-3]
    assert model_of(seen[:-1], foreseen(seen[:-1])) == "Other"
    assert model_of(seen, said) == "LastValue"


def test_one_who_cannot_speak_now_does_not() -> None:
    seen = alternating(40)
    said = foreseen(seen)
    said[-1] = np.nan
    assert model_of(seen, said) == "LastValue"
