from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from dgdr_profiler.core.candidate import CapacitySource
from dgdr_profiler.core.journal import (
    MAX_ENTRY_BYTES,
    Entry,
    Failure,
    Rejection,
    Stay,
    failures,
    from_text,
    lasting_rejections,
    notes,
    stays,
    to_text,
    unpullable,
)
from dgdr_profiler.engines.facts import NOTHING_KNOWN
from support.profiling import FACTS, NOW

MOMENTS = st.integers(0, 10**15).map(lambda micros: NOW + timedelta(microseconds=micros))
NAMES = st.sampled_from(["p-tp1", "d-tep8-dp2", "x" * 63])
SECONDS = st.none() | st.floats(min_value=0, max_value=1e7)
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=3000)
RUNS = st.none() | MOMENTS.map(lambda moment: moment.isoformat())
SAID = {"candidate": NAMES, "reason": TEXTS, "at": MOMENTS, "run": RUNS}
STAYED = {
    "candidate": NAMES,
    "gpus": st.integers(0, 10**4),
    "started_at": MOMENTS,
    "ready_after_s": SECONDS,
    "held_s": SECONDS,
}
ENTRIES: st.SearchStrategy[Entry] = st.one_of(
    st.fixed_dictionaries({**SAID, "lasting": st.booleans()}).map(Rejection.model_validate),
    st.fixed_dictionaries({**SAID, "isl": st.integers(0, 10**6)}).map(Failure.model_validate),
    st.fixed_dictionaries(STAYED).map(Stay.model_validate),
)


@given(ENTRIES)
def test_an_entry_survives_in_one_kilobyte(entry: Entry) -> None:
    text = to_text(entry)
    assert len(text.encode()) <= MAX_ENTRY_BYTES
    again = from_text(text)
    assert (again.key, type(again)) == (entry.key, type(entry))
    if isinstance(entry, Stay):
        assert again == entry


@given(ENTRIES)
def test_a_key_is_a_key_of_a_config_map(entry: Entry) -> None:
    assert set(entry.key) <= set("abcdefghijklmnopqrstuvwxyzT0123456789-.")


def test_a_long_reason_is_cut_at_its_end() -> None:
    cut = from_text(to_text(Rejection(candidate="c", reason="OOM " * 999, at=NOW)))
    assert isinstance(cut, Rejection)
    assert cut.reason.startswith("OOM OOM")
    assert cut.reason.endswith("…")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"entry": "dance"}',
        '{"entry": "rejection", "candidate": "c"}',
        '{"entry": "stay", "candidate": "c", "gpus": 1, "startedAt": "2026-01-01T00:00:00"}',
    ],
)
def test_what_is_no_entry_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        from_text(text)


def rejection(candidate: str, **more: object) -> Rejection:
    return Rejection.model_validate(
        {"candidate": candidate, "reason": f"{candidate} broke", "at": NOW, **more}
    )


def test_what_may_do_better_next_time_is_not_rejected_for_good() -> None:
    entries = [rejection("a"), rejection("b", lasting=False)]
    assert lasting_rejections(entries) == {"a": "a broke"}


def test_failures_are_counted_by_prompt_length_and_oldest_first() -> None:
    one, two = (
        Failure(candidate="a", isl=64, reason=r, at=NOW + timedelta(seconds=s))
        for r, s in (("late", 9), ("early", 1))
    )
    other = Failure(candidate="a", isl=128, reason="x", at=NOW)
    assert failures([one, two, other]) == {("a", 64): ("early", "late"), ("a", 128): ("x",)}


def test_an_image_is_unpullable_when_two_candidates_say_so() -> None:
    first, second = rejection("a", image="i:1"), rejection("b", image="i:1")
    assert unpullable([first]) == {}
    assert unpullable([first, first]) == {}
    assert unpullable([first, rejection("b", image="i:2")]) == {}
    assert unpullable([first, second]) == {"i:1": "b broke"}


def test_a_stay_holds_its_gpus_until_it_has_ended() -> None:
    stay = Stay(candidate="a", gpus=4, started_at=NOW)
    assert (stay.gpu_s, stay.ready_after_s, stay.held_s) == (0, None, None)
    ready = stay.ready(NOW + timedelta(seconds=30), FACTS)
    ended = ready.ended(NOW + timedelta(seconds=100))
    assert (ended.ready_after_s, ended.held_s, ended.gpu_s) == (30, 100, 400)
    assert {s.key for s in (stay, ready, ended)} == {stay.key}
    assert stays([rejection("a"), ended]) == (ended,)


def test_a_clock_that_was_set_back_makes_no_negative_time() -> None:
    stay = Stay(candidate="a", gpus=4, started_at=NOW)
    assert stay.ended(NOW - timedelta(hours=1)).held_s == 0


def test_notes_name_candidates_as_users_do() -> None:
    failed = Failure(candidate="a", isl=64, reason="lost", at=NOW - timedelta(seconds=1))
    assert notes([rejection("a"), failed, rejection("gone")], {"a": "TP=1"}) == (
        "TP=1, prompt length 64: lost",
        "TP=1 given up: a broke",
        "gone given up: gone broke",
    )


def test_what_is_odd_about_an_engine_is_noted_once_however_often_it_stood() -> None:
    odd = replace(FACTS, kv_source=CapacitySource.LOG, notes=("the log says otherwise",))
    moments = [NOW, NOW + timedelta(hours=1)]
    told = [Stay(candidate="a", gpus=1, started_at=at).ready(at, odd) for at in moments]
    assert notes(told, {"a": "TP=1"}) == ("TP=1: the log says otherwise",)
    assert from_text(to_text(told[0])) == told[0]
    assert (told[0].kv_tokens, told[0].kv_source) == (FACTS.max_kv_tokens, "engine log")


def test_the_longest_notes_fit_in_one_kilobyte() -> None:
    facts = replace(FACTS, kv_source=CapacitySource.MEMORY_MODEL, notes=(NOTHING_KNOWN,))
    stay = Stay(candidate="x" * 63, gpus=10**4, started_at=NOW).ready(NOW, facts)
    assert len(to_text(stay).encode()) <= MAX_ENTRY_BYTES
