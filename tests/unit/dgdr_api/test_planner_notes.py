"""Keys of ``features.planner`` that come to nothing are named, with what was meant."""

from pathlib import Path

from dgdr_api.planner_config import WITHOUT_EFFECT
from dgdr_api.planner_notes import known_keys, planner_notes

PAGE = Path(__file__).resolve().parents[3] / "docs/kinds/dgdr.md"


def test_a_misspelt_key_says_what_was_meant() -> None:
    (note,) = planner_notes({"max_gpu_budgett": 6})
    assert note == (
        "spec.features.planner.max_gpu_budgett is unknown and has no effect; did you mean "
        "max_gpu_budget?"
    )


def test_a_key_that_is_like_no_other_leads_to_the_list() -> None:
    (note,) = planner_notes({"xyzzy": 1})
    assert note.endswith("has no effect; docs/kinds/dgdr.md lists the keys")


def test_a_mode_that_is_none_says_which_one_applies() -> None:
    (note,) = planner_notes({"mode": "disag"})
    assert note == "spec.features.planner.mode disag is none of disagg, agg; disagg applies"


def test_upstreams_keys_that_do_nothing_here_are_named() -> None:
    (note,) = planner_notes({"load_predictor": "arima"})
    assert "load_predictor has no effect as it is given" in note


def test_what_has_an_effect_is_not_talked_about() -> None:
    assert planner_notes({"max_gpu_budget": 4, "ttft": 100, "--itl": 10}) == ()
    assert planner_notes({"load_predictor": "constant", "backend": "vllm"}) == ()


def test_the_page_lists_every_key() -> None:
    text = PAGE.read_text()
    assert [key for key in (*known_keys(), *WITHOUT_EFFECT) if f"`{key}`" not in text] == []
