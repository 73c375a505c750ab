from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from dgdr_api.points import MAX_POINT_BYTES, Point, PointKind, Source

LONGEST = Point(
    key="k" * 64,
    candidate="c" * 63,
    kind=PointKind.PREFILL,
    isl=1_000_000,
    osl=1_000_000,
    concurrency=100_000,
    effective_concurrency=12345.678901234567,
    ttft_ms=12345.678901234567,
    itl_ms=12345.678901234567,
    output_tokens_per_s=12345.678901234567,
    requests=1_000_000,
    completed=1_000_000,
    errors=1_000_000,
    image_digest="registry.test/dgdr/dynamo-mocker@sha256:" + "0" * 64,
    gpus=64,
    source=Source.MEASURED,
    started_at=datetime(2025, 3, 1, 12, tzinfo=UTC),
    wall_s=12345.678901234567,
)


def test_the_longest_record_is_small_enough() -> None:
    assert len(LONGEST.to_text().encode()) <= MAX_POINT_BYTES


def test_a_record_survives() -> None:
    assert Point.from_text(LONGEST.to_text()) == LONGEST


def test_what_was_not_measured_is_left_out_and_not_zero() -> None:
    point = LONGEST.model_copy(update={"itl_ms": None})
    assert "itlMs" not in point.to_text()
    assert Point.from_text(point.to_text()).itl_ms is None


def test_a_record_that_would_crowd_the_config_map_is_refused() -> None:
    crowded = LONGEST.model_copy(update={"image_digest": "é" * 256, "candidate": "é" * 256})
    with pytest.raises(ValueError, match="more than 1024"):
        crowded.to_text()


def test_a_record_says_whether_it_was_measured() -> None:
    with pytest.raises(ValidationError, match="source"):
        Point.from_text(LONGEST.to_text().replace('"source":"measured",', ""))
