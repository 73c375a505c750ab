import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_profiler.core.cells import DEFAULT_TIMEOUT_S, decode_cell, prefill_cell
from dgdr_profiler.core.patience import LONGEST_TIMEOUT_S, patient_call, request_timeout_s
from support.profiling import FACTS, TP1, evidence_of, point

FAST = point(TP1, prefill_cell(2048))
SLOW = FAST.model_copy(update={"ttft_ms": 20_000.0})


def test_a_fast_engine_keeps_the_shortest_time_out() -> None:
    cells = (prefill_cell(2048), decode_cell(2048, 96, 8))
    assert request_timeout_s(cells, (FAST, point(TP1, cells[1]))) == DEFAULT_TIMEOUT_S


def test_an_unknown_engine_gets_time_for_long_prompts() -> None:
    assert request_timeout_s((prefill_cell(500),), ()) == DEFAULT_TIMEOUT_S
    assert request_timeout_s((prefill_cell(16_000),), ()) >= 10 * 16


def test_four_prompts_that_are_filled_in_together_are_not_cut_off() -> None:
    # 20 s each: the fourth waits 80 s for its first token.
    assert request_timeout_s((decode_cell(2048, 96, 8),), (SLOW,)) >= 5 * 80


def test_longer_prompts_and_larger_batches_take_longer() -> None:
    at = [request_timeout_s((decode_cell(isl, 96, 32),), (SLOW,)) for isl in (1024, 2048, 2100)]
    assert at[0] == at[1] < at[2]
    slow_tokens = point(TP1, decode_cell(2048, 96, 8)).model_copy(update={"itl_ms": 200.0})
    few, many = (
        request_timeout_s((decode_cell(2048, 128, n),), (FAST, slow_tokens)) for n in (8, 32)
    )
    assert few < many


@pytest.mark.parametrize("hours_ms", [1e7, 1e12])
def test_no_request_is_waited_for_longer_than_upstream_does(hours_ms: float) -> None:
    never = FAST.model_copy(update={"ttft_ms": hours_ms})
    assert request_timeout_s((prefill_cell(2048),), (never,)) == LONGEST_TIMEOUT_S


@given(isl=st.integers(1, 200_000), n=st.integers(1, 2000))
def test_every_call_carries_a_time_out_within_the_bounds(isl: int, n: int) -> None:
    call = patient_call([decode_cell(isl, 128, n)], evidence_of(TP1, FAST, facts=FACTS))
    assert DEFAULT_TIMEOUT_S <= call.request_timeout_s <= LONGEST_TIMEOUT_S
