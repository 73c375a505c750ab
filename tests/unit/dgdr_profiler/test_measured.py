from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dgdr_api.points import Source
from dgdr_load.results import LoadResult, Percentiles
from dgdr_load.steady import Steady
from dgdr_profiler.core.cells import call_of, decode_cell, prefill_cell
from dgdr_profiler.core.measured import Measured, points_of
from support.profiling import TP2, evidence_of

CELLS = (prefill_cell(2048), decode_cell(2048, 96, 1), decode_cell(2048, 96, 8))
CALL = call_of(CELLS)


def latency(value: float) -> Percentiles:
    return Percentiles(avg=value + 5, p50=value, p90=value, p99=value, min=value)


def result(phase: str, batch: float, **changes: object) -> LoadResult:
    made = LoadResult(
        phase=phase,
        ttft_ms=latency(120),
        itl_ms=latency(12),
        effective_concurrency=batch,
        effective_decode_concurrency=batch,
        output_tokens_per_s=70,
        isl_mean=2057.2,
        osl_mean=96,
        sent=16,
        completed=16,
        errors=0,
        cancelled=0,
        duration_s=3,
        steady=Steady(batch=batch, itl_ms=11, output_tokens_per_s=80, window_s=2),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def measured(*results: LoadResult) -> Measured:
    return Measured(results=results, started_at=datetime(2026, 1, 1, tzinfo=UTC), wall_s=30)


EARLY = (
    result("p2048", 1, osl_mean=4, steady=None),
    result("d2048c1", 1),
    result("f2048", 3, osl_mean=2, steady=None),
)


def test_each_cell_becomes_a_point() -> None:
    found = points_of(CALL, measured(*EARLY, result("d2048c8", 7.6)), evidence_of(TP2))
    assert found.failures == {}
    one, eight, prefill = sorted(found.points, key=lambda p: (p.kind, p.concurrency))
    assert (prefill.ttft_ms, prefill.itl_ms, prefill.isl) == (120, None, 2057)
    assert (one.effective_concurrency, one.itl_ms) == (1, 11)
    assert (eight.effective_concurrency, eight.output_tokens_per_s) == (7.6, 80)
    assert {p.wall_s for p in (prefill, one, eight)} == {10}
    assert {p.gpus for p in (prefill, one, eight)} == {2}
    assert all(p.source is Source.MEASURED for p in (prefill, one, eight))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"completed": 15}, "lost 1 of 16: they hung, or were cut off", id="hung"),
        pytest.param(
            {"completed": 15, "errors": 1, "error_messages": ("500: no worker",)},
            "lost 1 of 16: 500: no worker",
            id="failed",
        ),
        pytest.param({"steady": None}, "never in flight together", id="no steady part"),
        pytest.param({"ttft_ms": None}, "no time to first token", id="no latency"),
        pytest.param({"osl_mean": 40}, "answers had 40 tokens and not 96", id="short answers"),
    ],
)
def test_a_doubtful_phase_becomes_no_point_and_spoils_no_other(
    changes: dict[str, object], words: str
) -> None:
    found = points_of(CALL, measured(*EARLY, result("d2048c8", 7.6, **changes)), evidence_of())
    assert len(found.points) == 2
    assert words in found.failures[2048]


def test_a_phase_without_a_result_is_named() -> None:
    found = points_of(CALL, measured(*EARLY), evidence_of())
    assert found.failures == {2048: "phase d2048c8 has no result"}
