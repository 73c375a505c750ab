from datetime import UTC, datetime, timedelta

import pytest

from dgdr_api.conditions import (
    Condition,
    ConditionStatus,
    condition,
    find,
    says,
    with_condition,
)

NOW = datetime(2025, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def ready(status: bool | None, reason: str = "R", now: datetime = NOW) -> Condition:
    return condition("Ready", status, reason, "message", now, observed_generation=2)


def test_a_new_reason_keeps_the_time_of_the_last_flip() -> None:
    before = with_condition((), ready(False), NOW)
    after = with_condition(before, ready(False, "Other", LATER), LATER)
    assert after[0].reason == "Other"
    assert after[0].last_transition_time == before[0].last_transition_time


def test_a_flip_moves_the_time() -> None:
    before = with_condition((), ready(False), NOW)
    (after,) = with_condition(before, ready(True, now=LATER), LATER)
    assert after.last_transition_time == LATER.replace(microsecond=0)


def test_the_time_of_a_new_condition_is_now_whatever_it_says() -> None:
    (only,) = with_condition((), ready(True, now=NOW), LATER)
    assert only.last_transition_time == LATER.replace(microsecond=0)


def test_the_same_condition_twice_changes_nothing() -> None:
    once = with_condition((), ready(True), NOW)
    assert with_condition(once, ready(True, now=LATER), LATER) == once


@pytest.mark.parametrize("status", [True, False, None])
def test_a_condition_says_what_it_was_made_of(status: bool | None) -> None:
    assert says(ready(status), status, "R", "message", 2)


@pytest.mark.parametrize(
    "other",
    [
        (False, "R", "message", 2),
        (None, "R", "message", 2),
        (True, "Other", "message", 2),
        (True, "R", "another message", 2),
        (True, "R", "message", 3),
        (True, "R", "message", None),
    ],
)
def test_a_condition_says_nothing_else(other: tuple[bool | None, str, str, int | None]) -> None:
    assert not says(ready(True), *other)


def test_others_keep_their_place() -> None:
    first, second = ready(True), condition("Validation", True, "Passed", "", NOW)
    changed = with_condition((first, second), ready(False, now=LATER), LATER)
    assert [entry.type for entry in changed] == ["Ready", "Validation"]


def test_find() -> None:
    assert find((ready(True),), "Ready") == ready(True)
    assert find((ready(True),), "Other") is None


@pytest.mark.parametrize(
    ("given", "word"),
    [
        (True, ConditionStatus.TRUE),
        (False, ConditionStatus.FALSE),
        (None, ConditionStatus.UNKNOWN),
    ],
)
def test_status_words(given: bool | None, word: ConditionStatus) -> None:
    assert ready(given).status is word
    assert ready(given).is_true is (given is True)


def test_json_is_what_kubernetes_stores() -> None:
    assert ready(True).to_json() == {
        "type": "Ready",
        "status": "True",
        "reason": "R",
        "message": "message",
        "lastTransitionTime": "2025-03-01T12:00:00Z",
        "observedGeneration": 2,
    }


def test_a_stored_condition_reads_back_equal() -> None:
    assert Condition.model_validate(ready(True).to_json()) == ready(True)
