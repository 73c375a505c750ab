import json
import re
from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.points import Source
from dgdr_api.profile_data import DecodeData, PrefillData, ProfileDataError, Provenance

PREFILL = PrefillData(isl=(128.0, 512.0), ttft_ms=(10.0, 30.5), thpt_per_gpu=(12800.0, 16786.9))
DECODE = DecodeData(
    kv_usage=(0.1, 0.5),
    context_length=(1024.0, 2048.0),
    itl_ms=(5.0, 9.0),
    thpt_per_gpu=(100.0, 300.0),
    max_kv_tokens=262144,
)


def test_the_keys_are_upstreams() -> None:
    assert list(json.loads(PREFILL.to_json())) == [
        "prefill_isl",
        "prefill_ttft",
        "prefill_thpt_per_gpu",
    ]
    assert list(json.loads(DECODE.to_json())) == [
        "x_kv_usage",
        "y_context_length",
        "z_itl",
        "z_thpt_per_gpu",
        "max_kv_tokens",
    ]


def test_curves_survive() -> None:
    assert PrefillData.from_json(PREFILL.to_json()) == PREFILL
    assert DecodeData.from_json(DECODE.to_json()) == DECODE


def test_what_upstream_does_not_know_survives_beside_its_keys() -> None:
    lab = Provenance(fingerprint="3f2a", sources=(Source.MEASURED, Source.ESTIMATED))
    known = replace(DECODE, provenance=lab, max_num_seqs=256)
    assert DecodeData.from_json(known.to_json()) == known
    assert list(json.loads(known.to_json()))[-2:] == ["max_num_seqs", "provenance"]


@pytest.mark.parametrize(
    ("sources", "source"),
    [
        (None, None),
        (("measured", "measured"), "measured"),
        (("measured", "estimated"), "estimated"),
    ],
)
def test_one_estimated_point_makes_a_curve_estimated(
    sources: tuple[str, ...] | None, source: str | None
) -> None:
    known = None if sources is None else tuple(Source(name) for name in sources)
    assert Provenance(sources=known).source == source


def test_the_capacity_may_stand_in_an_array_as_in_the_npz() -> None:
    data = json.loads(DECODE.to_json()) | {"max_kv_tokens": [262144]}
    assert DecodeData.from_json(json.dumps(data)) == DECODE


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"z_itl": None}, "z_itl is missing or no array"),
        ({"z_itl": ["fast", "slow"]}, "z_itl holds something that is no number"),
        ({"z_itl": [1.0]}, "arrays differ in length"),
        ({"z_itl": [1.0, float("nan")]}, "z_itl[1] holds nan"),
        ({"z_itl": [1.0, -1.0]}, "z_itl[1] holds -1.0"),
        ({"max_kv_tokens": 0}, "max_kv_tokens is 0"),
        ({"max_kv_tokens": "many"}, "max_kv_tokens is 'many', not a number"),
        ({"max_kv_tokens": None}, "max_kv_tokens is None, not a number"),
        ({"max_kv_tokens": float("inf")}, "max_kv_tokens is inf, not a number"),
        ({"max_num_seqs": 0}, "max_num_seqs is 0; it must be at least 1"),
        ({"provenance": "lab"}, "provenance is a str, not an object"),
        ({"provenance": {"fingerprint": 7}}, "provenance.fingerprint is 7, not a text"),
        ({"provenance": {"sources": "measured"}}, "provenance.sources is 'measured', not a list"),
        (
            {"provenance": {"sources": ["measured", "guessed"]}},
            "provenance.sources[1] is 'guessed'; it must be measured or estimated",
        ),
        ({"provenance": {"sources": ["measured"]}}, "'provenance.sources': 1"),
    ],
)
def test_data_that_are_no_curve_are_refused(change: dict[str, Any], text: str) -> None:
    data = json.loads(DECODE.to_json()) | change
    with pytest.raises(ProfileDataError, match=re.escape(text)):
        DecodeData.from_json(json.dumps(data))


@pytest.mark.parametrize(("text", "says"), [("{", "not JSON"), ("[]", "a list, not an object")])
def test_text_that_is_no_object_is_refused(text: str, says: str) -> None:
    with pytest.raises(ProfileDataError, match=says):
        PrefillData.from_json(text)


def test_an_empty_curve_is_refused() -> None:
    with pytest.raises(ProfileDataError, match="are empty"):
        PrefillData(isl=(), ttft_ms=(), thpt_per_gpu=())
