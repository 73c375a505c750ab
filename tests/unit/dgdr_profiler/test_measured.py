import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.points import Point, Source
from dgdr_load.results import LoadResult, Percentiles
from dgdr_load.steady import RequestTimes, Steady
from dgdr_profiler.core.cells import PREFILL_WAVES, call_of, decode_cell, prefill_cell
from dgdr_profiler.core.evidence import is_sound
from dgdr_profiler.core.measured import Measured, points_of
from dgdr_profiler.core.options import prefill_options
from dgdr_profiler.core.waves import prompt_ms
from support.profiling import TP2, evidence_of, point

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
        pytest.param({"completed": 14}, "lost 2 of 16: they hung, or were cut off", id="hung"),
        pytest.param(
            {"completed": 14, "errors": 2, "error_messages": ("500: no worker",)},
            "lost 2 of 16: 500: no worker",
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


@pytest.mark.parametrize(("sent", "lost"), [(16, 1), (100, 2), (600, 12)])
def test_a_few_lost_requests_leave_a_point_that_counts_them(sent: int, lost: int) -> None:
    few = result("d2048c8", 7.6, sent=sent, completed=sent - lost, errors=lost)
    found = points_of(CALL, measured(*EARLY, few), evidence_of())
    assert found.failures == {}
    (eight,) = (p for p in found.points if p.concurrency == 8)
    assert (eight.requests, eight.completed, eight.errors) == (sent, sent - lost, lost)


@pytest.mark.parametrize(
    ("phase", "changes", "words"),
    [
        pytest.param("p2048", {"isl_mean": 0}, "must end with usage", id="no usage"),
        pytest.param("p2048", {"isl_mean": 2160}, "2160 tokens and not 2048", id="long prompts"),
        pytest.param("d2048c8", {"isl_mean": 1940}, "1940 tokens and not 2048", id="short ones"),
        pytest.param("d2048c8", {"osl_mean": 101}, "101 tokens and not 96", id="long answers"),
        pytest.param("p2048", {"osl_mean": 1}, "1 tokens and not 4", id="no second token"),
        pytest.param("p2048", {"isl_mean": math.nan}, "nan tokens and not 2048", id="NaN"),
        pytest.param("p2048", {"ttft_ms": latency(math.nan)}, "reports nan as a time", id="TTFT"),
        pytest.param("p2048", {"ttft_ms": latency(0)}, "must be above 0", id="no time at all"),
    ],
)
def test_nonsense_of_the_load_tool_is_said_in_words(
    phase: str, changes: dict[str, object], words: str
) -> None:
    results = {r.phase: r for r in (*EARLY, result("d2048c8", 7.6))}
    results[phase] = replace(results[phase], **changes)  # type: ignore[arg-type]
    found = points_of(CALL, measured(*results.values()), evidence_of())
    assert len(found.points) == 2
    assert words in found.failures[2048]


NUMBERS = st.one_of(
    st.floats(), st.sampled_from([0.0, -1.0, math.nan, math.inf, -math.inf, 1e-9, 96.0, 2048.0])
)


@given(isl=NUMBERS, osl=NUMBERS, ttft=NUMBERS, batch=NUMBERS, itl=NUMBERS, rate=NUMBERS)
def test_whatever_the_load_tool_says_becomes_a_sound_point_or_a_failure(
    isl: float, osl: float, ttft: float, batch: float, itl: float, rate: float
) -> None:
    steady = Steady(batch=batch, itl_ms=itl, output_tokens_per_s=rate, window_s=1)
    results = [
        result(cell.phase, 1, isl_mean=isl, osl_mean=osl, ttft_ms=latency(ttft), steady=steady)
        for cell in CELLS
    ]
    found = points_of(CALL, measured(*results), evidence_of())
    assert found.points or found.failures
    assert all(is_sound(p) and Point.from_text(p.to_text()) == p for p in found.points)


def test_a_stored_point_that_is_nonsense_is_as_good_as_none() -> None:
    cells = (prefill_cell(2048), decode_cell(2048, 96, 8))
    prefill, decode = (point(TP2, cell) for cell in cells)
    bad = (
        prefill.model_copy(update={"isl": 0}),
        decode.model_copy(update={"itl_ms": math.inf}),
    )
    known = evidence_of(TP2, *bad)
    assert known.missing(cells) == cells
    assert known.facts is not None
    # What is measured instead has the same key, and counts.
    assert evidence_of(TP2, *bad, prefill, decode).missing(cells) == ()


def burst(ranks: int, prompt_s: float, gap_s: float = 0.0) -> tuple[RequestTimes, ...]:
    """Four prompts for each rank, sent in turn; a rank answers one after another."""
    free_s = [0.0] * ranks
    times = []
    for number in range(PREFILL_WAVES * ranks):
        rank, sent_s = number % ranks, number * gap_s
        free_s[rank] = max(free_s[rank], sent_s) + prompt_s
        first = free_s[rank]
        times.append(
            RequestTimes(
                sent_s=sent_s, first_token_s=first, last_token_s=first + 0.1, output_tokens=4
            )
        )
    return tuple(times)


@given(
    ranks=st.integers(2, 64),
    prompt_s=st.floats(0.001, 30),
    gap_s=st.floats(0, 1),
)
def test_a_burst_over_the_ranks_gives_the_time_of_one_prompt(
    ranks: int, prompt_s: float, gap_s: float
) -> None:
    # In turn, a rank that waits for its next prompt is seen by the median instead.
    idle = gap_s * ranks > prompt_s
    expected = pytest.approx(1000 * prompt_s, rel=1e-6 if idle else 0.01)
    assert prompt_ms(burst(ranks, prompt_s, gap_s), ranks) == expected


def test_ranks_that_take_their_prompts_as_one_batch_give_the_same_time() -> None:
    alike = tuple(replace(r, first_token_s=4 * 0.2) for r in burst(8, 0.2))
    assert prompt_ms(alike, 8) == pytest.approx(200)


def test_one_slow_answer_of_many_hardly_moves_the_time_of_a_prompt() -> None:
    *others, last = burst(8, 0.2)
    late = replace(last, first_token_s=last.first_token_s + 0.4)
    assert prompt_ms((*others, late), 8) == pytest.approx(200, rel=0.1)
    # The largest TTFT alone would say 300.
    assert 1000 * late.first_token_s / PREFILL_WAVES == pytest.approx(300)


def test_a_burst_becomes_a_point_of_all_ranks() -> None:
    cell = prefill_cell(2048, ranks=8)
    sent = result(cell.phase, 1, osl_mean=4, sent=32, completed=32, requests=burst(8, 0.2))
    found = points_of(call_of([cell]), measured(sent), evidence_of(TP2))
    (only,) = found.points
    assert (only.concurrency, only.ttft_ms) == (32, pytest.approx(200))
    (option,) = prefill_options(TP2, [only])
    assert option.tokens_per_s == pytest.approx(8 * 2057 / 0.2)


def test_a_burst_that_hardly_anything_answered_is_no_point() -> None:
    cell = prefill_cell(2048, ranks=8)
    few = result(cell.phase, 1, osl_mean=4, requests=burst(8, 0.2)[:15])
    found = points_of(call_of([cell]), measured(few), evidence_of())
    assert found.failures == {2048: "15 prompts were answered; 8 attention ranks need 16"}
