import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_load.steady import RequestTimes, steady

ITL_S = 0.02
TOKENS = 51
TTFT_S = 0.5
REQUEST_S = TTFT_S + (TOKENS - 1) * ITL_S


def request(sent_s: float) -> RequestTimes:
    return RequestTimes(
        sent_s=sent_s,
        first_token_s=sent_s + TTFT_S,
        last_token_s=sent_s + REQUEST_S,
        output_tokens=TOKENS,
    )


def lanes(count: int, waves: int, shift_s: float = 0.0) -> list[RequestTimes]:
    return [
        request(lane * shift_s + wave * REQUEST_S) for lane in range(count) for wave in range(waves)
    ]


def test_requests_one_after_another_decode_alone() -> None:
    found = steady(lanes(1, 5), concurrency=1)
    assert found is not None
    assert found.batch == pytest.approx(1.0)
    assert found.itl_ms == pytest.approx(20.0)


def test_pauses_for_prefill_lower_the_throughput_not_the_batch() -> None:
    found = steady(lanes(1, 5), concurrency=1)
    assert found is not None
    assert found.output_tokens_per_s == pytest.approx((TOKENS - 1) / REQUEST_S, rel=0.05)


def test_requests_in_step_decode_together() -> None:
    found = steady(lanes(8, 4), concurrency=8)
    assert found is not None
    assert found.batch == pytest.approx(8.0)


def test_requests_out_of_step_decode_with_fewer_than_the_slots() -> None:
    found = steady(lanes(3, 6, shift_s=REQUEST_S / 3), concurrency=3)
    assert found is not None
    # Each decodes for 1.0 of 1.5 s: two at a time on average.
    assert found.batch == pytest.approx(2.0, rel=0.1)


def test_a_single_wave_has_no_steady_part() -> None:
    assert steady(lanes(8, 1), concurrency=8) is None


def test_nothing_answered_has_no_steady_part() -> None:
    assert steady([], concurrency=1) is None


def test_answers_of_one_token_have_no_decode_figures() -> None:
    ones = [
        RequestTimes(sent_s=t, first_token_s=t + 1, last_token_s=t + 1, output_tokens=1)
        for t in range(4)
    ]
    assert steady(ones, concurrency=1) is None


@given(
    starts=st.lists(st.floats(min_value=0, max_value=20), min_size=2, max_size=30),
    concurrency=st.integers(min_value=1, max_value=8),
)
def test_the_batch_is_never_larger_than_what_was_in_flight(
    starts: list[float], concurrency: int
) -> None:
    found = steady([request(s) for s in starts], concurrency)
    if found is not None:
        assert found.batch + 1e-9 >= 1.0
        assert found.batch <= len(starts) + 1e-9
        assert found.itl_ms == pytest.approx(1000 * ITL_S)
