from dataclasses import replace

import pytest

from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.point_key import point_key
from support.profiling import TP1, TP2, subject

CELL = decode_cell(2048, 96, 8)
KEY = point_key(subject(TP1), "sha256:a", CELL)


def test_the_same_measurement_has_the_same_key_for_ever() -> None:
    assert KEY == "1ee304cb9d52e8f5"


@pytest.mark.parametrize(
    "other",
    [
        point_key(subject(TP2), "sha256:a", CELL),
        point_key(replace(subject(TP1), model="other"), "sha256:a", CELL),
        point_key(replace(subject(TP1), gpu_product="NVIDIA-L4"), "sha256:a", CELL),
        point_key(replace(subject(TP1), decode_args=("x",)), "sha256:a", CELL),
        point_key(subject(TP1), "sha256:b", CELL),
        point_key(subject(TP1), "sha256:a", decode_cell(2048, 96, 9)),
        point_key(subject(TP1), "sha256:a", decode_cell(2047, 96, 8)),
        point_key(subject(TP1), "sha256:a", prefill_cell(2048)),
    ],
)
def test_whatever_determines_a_result_changes_the_key(other: str) -> None:
    assert other != KEY


def test_prefill_does_not_depend_on_the_answer() -> None:
    assert prefill_cell(2048).osl == 0
