"""What is let in, and what is said about the rest."""

import json
from typing import Any

import pytest

from dgdr_rehearsal.virtual.window import BadWindow, Window, read_window

GOOD: dict[str, Any] = {
    "t_s": 600,
    "window_s": 60,
    "requests": 1500,
    "completed": 1490,
    "isl_mean": 3000,
    "osl_mean": 300,
    "ttft_ms": 80,
    "itl_ms": 8.1,
    "request_duration_s": 2.6,
    "prefill": {"ready": 2, "pending": 0, "terminating": 0},
    "decode": {"ready": 3, "pending": 1, "terminating": 0},
}


def window(**changes: Any) -> Window:
    return read_window(json.dumps(GOOD | changes))


def test_a_window_is_read() -> None:
    seen = window()
    assert seen.requests == 1500
    assert seen.decode is not None
    assert (seen.decode.ready, seen.decode.present, seen.decode.gpus) == (3, 4, 1)


def test_every_field_may_be_null() -> None:
    nothing = read_window(json.dumps(dict.fromkeys(GOOD)))
    assert nothing.model_dump(exclude_none=True) == {}


def test_what_is_left_out_of_a_role_has_its_default() -> None:
    seen = window(prefill={"ready": 2}).prefill
    assert seen is not None
    assert (seen.pending, seen.terminating, seen.gpus) == (0, 0, 1)


def test_unknown_keys_are_read_over() -> None:
    assert window(extra=[1], prefill={"ready": 2, "name": "p"}) == window(prefill={"ready": 2})


def test_whole_numbers_may_be_written_with_a_point() -> None:
    assert window(prefill={"ready": 2.0}) == window(prefill={"ready": 2})


@pytest.mark.parametrize(
    "told",
    [[[0.5, 2800], [0.95, 6000]], {"p95": 6000, "p50": 2800}, {"0.5": 2800, "0.95": 6000}],
)
def test_quantiles_are_pairs_or_an_object(told: object) -> None:
    assert window(isl_quantiles=told).isl_quantiles == ((0.5, 2800.0), (0.95, 6000.0))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "the line is empty"),
        ("nonsense", "the line is not JSON"),
        ('{"t_s": 1', "the line is not JSON"),
        ("[1]", "the line holds [1]"),
        ("{}", "t_s is missing"),
        ('{"t_s": 1, "requests": NaN}', "requests is NaN"),
        ('{"t_s": 1, "requests": Infinity}', "requests is Infinity"),
        ('{"t_s": 1, "isl_mean": 1e400}', "isl_mean is Infinity"),
        ('{"t_s": 1, "requests": -5}', "requests is -5"),
        ('{"t_s": 1, "requests": "5"}', 'requests is "5"'),
        ('{"t_s": 1, "requests": true}', "requests is true"),
        ('{"t_s": 1, "window_s": 0}', "window_s is 0"),
        ('{"t_s": 1784000000000}', "t_s is 1784000000000"),
        ('{"t_s": 1, "isl_mean": 1e30}', "isl_mean is 1e+30"),
        ('{"t_s": 1, "prefill": {"ready": 1.5}}', "prefill.ready is 1.5"),
        ('{"t_s": 1, "prefill": {"pending": 1}}', "prefill.ready is missing"),
        ('{"t_s": 1, "decode": {"ready": 1e9}}', "decode.ready is 1000000000"),
        ('{"t_s": 1, "prefill": 3}', "prefill is 3"),
        ('{"t_s": 1, "isl_quantiles": [[0.9, 5], [0.5, 9]]}', "isl_quantiles is"),
        ('{"t_s": 1, "isl_quantiles": [[0.5, 9], [0.9, 5]]}', "isl_quantiles is"),
        ('{"t_s": 1, "isl_quantiles": [[50, 9]]}', "isl_quantiles is"),
        ('{"t_s": 1, "isl_quantiles": [[0.5, NaN]]}', "isl_quantiles is"),
        ('{"t_s": 1, "isl_quantiles": {"most": 9}}', 'isl_quantiles has "most"'),
        ('{"t_s": 1, "isl_quantiles": [[0.5]]}', "isl_quantiles is"),
    ],
)
def test_a_bad_line_is_told_by_field_value_and_cure(line: str, said: str) -> None:
    with pytest.raises(BadWindow) as told:
        read_window(line)
    assert str(told.value).startswith(said)
    assert ": give " in str(told.value) or ": name " in str(told.value)


def test_a_line_that_is_no_text_is_told() -> None:
    with pytest.raises(BadWindow, match="the line is not JSON"):
        read_window(b'\xff\xfe{"t_s": 1}')
