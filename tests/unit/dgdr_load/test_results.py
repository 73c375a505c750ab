"""Against exports that AIPerf 0.13.0 really wrote; ``record.py`` made them."""

from dataclasses import replace
from pathlib import Path

import pytest

from dgdr_load.load import LoadPhase, LoadSpec, SyntheticPrompts
from dgdr_load.results import LoadResult, UnreadableExport, parse
from dgdr_load.runner import read_exports

EXPORTS = Path(__file__).parent / "exports"

WAVES = (
    LoadPhase(name="c1", concurrency=1, requests=5),
    LoadPhase(name="fill", concurrency=2, requests=3, warmup=True),
    LoadPhase(name="c4", concurrency=4, requests=16),
)
RATE = (LoadPhase(name="rate", request_rate_per_s=5, duration_s=4),)


def spec(phases: tuple[LoadPhase, ...]) -> LoadSpec:
    return LoadSpec(
        url="http://x",
        model="model",
        tokenizer="/model",
        prompts=SyntheticPrompts(isl=64, osl=16, entries=8),
        phases=phases,
        seed=3,
    )


def recorded(case: str, phases: tuple[LoadPhase, ...]) -> tuple[LoadResult, ...]:
    return parse(spec(phases), read_exports(EXPORTS / case, phases))


def test_each_phase_has_its_own_result() -> None:
    alone, fill, four = recorded("waves", WAVES)
    assert [r.phase for r in (alone, fill, four)] == ["c1", "fill", "c4"]
    assert [r.sent for r in (alone, fill, four)] == [5, 3, 16]
    assert [r.lost for r in (alone, fill, four)] == [0, 0, 0]


def test_latencies_are_those_of_the_server() -> None:
    alone, _, four = recorded("waves", WAVES)
    # The server waits 50 ms, then 10 ms for each token; the client adds a few.
    assert alone.ttft_ms is not None
    assert alone.ttft_ms.p50 == pytest.approx(50, rel=0.1)
    assert four.itl_ms is not None
    assert four.itl_ms.avg == pytest.approx(10, rel=0.1)
    assert (four.osl_mean, round(four.isl_mean)) == (16.0, 36)


def test_the_steady_part_sees_the_slots_busy() -> None:
    alone, fill, four = recorded("waves", WAVES)
    assert alone.steady is not None
    assert alone.steady.batch == pytest.approx(1.0)
    assert four.steady is not None
    assert four.steady.batch == pytest.approx(4.0, rel=0.05)
    assert fill.steady is None


def test_a_request_that_hangs_is_lost_although_it_is_no_error() -> None:
    (result,) = recorded("hanging", RATE)
    assert result.errors == 0
    assert (result.sent, result.completed, result.cancelled, result.lost) == (22, 20, 2, 2)


def test_a_failed_request_is_an_error_with_its_text() -> None:
    (result,) = recorded("failing", RATE)
    assert (result.sent, result.completed, result.errors) == (23, 20, 3)
    assert result.error_messages == ('500: {"error": {"message": "no worker"}}',)


def test_a_missing_phase_is_named() -> None:
    exports = replace(read_exports(EXPORTS / "waves", WAVES), phases={})
    with pytest.raises(UnreadableExport, match="no result for phase c1"):
        parse(spec(WAVES), exports)


def test_a_log_that_does_not_say_how_many_were_sent_is_not_taken_for_all_well() -> None:
    exports = replace(read_exports(EXPORTS / "hanging", RATE), log="")
    with pytest.raises(UnreadableExport, match="does not say cancelled, completed, sent"):
        parse(spec(RATE), exports)


def test_a_broken_export_is_named() -> None:
    exports = replace(read_exports(EXPORTS / "hanging", RATE), phases={"rate": "{"})
    with pytest.raises(UnreadableExport, match="result of phase rate is unreadable"):
        parse(spec(RATE), exports)
