"""What a picture looks like is for eyes; here only that it is one, and always the same."""

import pytest

from dgdr_api.points import Point, Source
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.curves import decode_data, prefill_data
from dgdr_profiler.report.plots import Titles, decode_png, prefill_png
from support.profiling import TP1, point

TITLES = Titles(model="Qwen/Qwen3-8B", mapping="TP=1", gpu="NVIDIA-H200")
PREFILL = [point(TP1, prefill_cell(isl)) for isl in (256, 738, 2048, 6144)]
DECODE = [point(TP1, decode_cell(isl, 96, n)) for isl in (256, 2048) for n in (1, 8, 30)]
PNG = b"\x89PNG\r\n\x1a\n"


def draw_prefill(points: list[Point], target_ms: float | None) -> bytes:
    return prefill_png(prefill_data(points), points, TITLES, target_ms)


def draw_decode(points: list[Point], target_ms: float | None) -> bytes:
    return decode_png(decode_data(points, 65536), points, TITLES, target_ms)


@pytest.mark.parametrize("target_ms", [300.0, None, float("inf")])
def test_curves_are_drawn_with_and_without_a_target(target_ms: float | None) -> None:
    assert draw_prefill(PREFILL, target_ms).startswith(PNG)
    assert draw_decode(DECODE, target_ms).startswith(PNG)


def test_equal_data_give_equal_pictures() -> None:
    assert draw_decode(DECODE, 30) == draw_decode(DECODE, 30)


def test_estimated_points_look_different() -> None:
    estimated = [p.model_copy(update={"source": Source.ESTIMATED}) for p in DECODE]
    assert draw_decode(estimated, 30) != draw_decode(DECODE, 30)
