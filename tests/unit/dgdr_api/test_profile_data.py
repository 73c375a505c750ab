import json
import re
from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.fingerprint import Fingerprint
from dgdr_api.points import Source
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import ProfileDataError, Provenance
from dgdr_api.transfer import Transfer

PREFILL = PrefillData(isl=(128.0, 512.0), ttft_ms=(10.0, 30.5), thpt_per_gpu=(12800.0, 16786.9))
DECODE = DecodeData(
    kv_usage=(0.1, 0.5),
    context_length=(1024.0, 2048.0),
    itl_ms=(5.0, 9.0),
    thpt_per_gpu=(100.0, 300.0),
    max_kv_tokens=262144,
)


ENGINE = Fingerprint(image="vllm:1.0.2", args=("--a", "1"), mapping="tp2", gpus=2)


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
    lab = Provenance(fingerprint=ENGINE, sources=(Source.MEASURED, Source.ESTIMATED))
    known = replace(DECODE, provenance=lab, max_num_seqs=256)
    assert DecodeData.from_json(known.to_json()) == known
    assert list(json.loads(known.to_json()))[-2:] == ["max_num_seqs", "provenance"]


@pytest.mark.parametrize(
    ("sources", "source"),
    [
        (None, None),
        (("measured", "measured"), "measured"),
        (("measured", "interpolated"), "interpolated"),
        (("measured", "estimated", "interpolated"), "estimated"),
    ],
)
def test_a_curve_is_as_certain_as_its_least_certain_point(
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
        ({"provenance": {"fingerprint": 7}}, "provenance.fingerprint: "),
        ({"provenance": {"fingerprint": {"gpus": "two"}}}, 'gpus: Invalid value: "two"'),
        ({"provenance": {"sources": "measured"}}, "provenance.sources is 'measured', not a list"),
        (
            {"provenance": {"sources": ["measured", "guessed"]}},
            "provenance.sources[1] is 'guessed'; it must be measured, interpolated, estimated",
        ),
        ({"provenance": {"sources": ["measured"]}}, "'provenance.sources': 1"),
        ({"points": []}, "points is a list, not an object"),
        ({"points": {}}, "x_kv_usage is missing"),
    ],
)
def test_data_that_are_no_curve_are_refused(change: dict[str, Any], text: str) -> None:
    data = json.loads(DECODE.to_json()) | change
    with pytest.raises(ProfileDataError, match=re.escape(text)):
        DecodeData.from_json(json.dumps(data))


def test_points_and_transfer_survive_beside_rows_that_were_drawn_from_them() -> None:
    sent = Transfer(bytes_per_token=131072, measured_ms=17.0, measured_isl=2048)
    drawn = replace(PREFILL, isl=(128.0, 256.0), points=PREFILL, transfer=sent)
    assert PrefillData.from_json(drawn.to_json()) == drawn
    assert drawn.fitted is PREFILL
    assert DecodeData.from_json(replace(DECODE, points=DECODE).to_json()).points == DECODE


@pytest.mark.parametrize(
    ("transfer", "source", "added", "missing"),
    [
        (Transfer(measured_ms=17.0, measured_isl=2048), Source.MEASURED, 17 / 2048, False),
        (Transfer(bytes_per_token=131072, gb_per_s=64), Source.ESTIMATED, 0.002048, False),
        (Transfer(bytes_per_token=131072), None, 0.0, True),
        (Transfer(gb_per_s=64), None, 0.0, True),
        (Transfer(measured_ms=17.0, measured_isl=2048, in_ttft=True), Source.MEASURED, 0.0, False),
        (Transfer(in_ttft=True), None, 0.0, False),
    ],
)
def test_what_a_reader_has_to_add_for_the_transfer_and_who_says_so(
    transfer: Transfer, source: Source | None, added: float, missing: bool
) -> None:
    assert transfer.source is source
    assert transfer.added_ms_per_token == pytest.approx(added)
    assert transfer.is_missing is missing
    data = replace(PREFILL, transfer=transfer)
    assert PrefillData.from_json(data.to_json()).transfer == transfer


@pytest.mark.parametrize(
    ("transfer", "text"),
    [
        (17, "transfer is a int, not an object"),
        ({"measured_ms": "17 ms"}, "transfer.measured_ms is '17 ms'; it must be a number from 0"),
        ({"measured_ms": -1}, "transfer.measured_ms is -1"),
        ({"bytes_per_token": True}, "transfer.bytes_per_token is True"),
        ({"in_ttft": 1}, "transfer.in_ttft is 1; it must be true or false"),
    ],
)
def test_a_transfer_that_means_nothing_is_refused(transfer: Any, text: str) -> None:
    data = json.loads(PREFILL.to_json()) | {"transfer": transfer}
    with pytest.raises(ProfileDataError, match=re.escape(text)):
        PrefillData.from_json(json.dumps(data))


@pytest.mark.parametrize(("text", "says"), [("{", "not JSON"), ("[]", "a list, not an object")])
def test_text_that_is_no_object_is_refused(text: str, says: str) -> None:
    with pytest.raises(ProfileDataError, match=says):
        PrefillData.from_json(text)


def test_an_empty_curve_is_refused() -> None:
    with pytest.raises(ProfileDataError, match="are empty"):
        PrefillData(isl=(), ttft_ms=(), thpt_per_gpu=())


def test_ranks_that_prefill_side_by_side_survive_and_one_is_not_written() -> None:
    spread = replace(PREFILL, ranks=8)
    assert PrefillData.from_json(spread.to_json()) == spread
    assert "ranks" not in json.loads(PREFILL.to_json())
    with pytest.raises(ProfileDataError, match="ranks is 0; it must be at least 1, or left out"):
        replace(PREFILL, ranks=0)
