"""Against exports that AIPerf 0.13.0 really wrote; ``record.py`` made them."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dgdr_load.load import LoadPhase, LoadSpec, SyntheticPrompts
from dgdr_load.results import Exports, LoadResult, UnreadableExport, parse
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


def test_counts_of_thousands_are_read_as_aiperf_writes_them() -> None:
    exports = read_exports(EXPORTS / "hanging", RATE)
    log, changed = re.subn(
        r"sending complete \| sent=\d+", "sending complete | sent=1,234,567", exports.log
    )
    assert changed == 1
    (result,) = parse(spec(RATE), replace(exports, log=log))
    assert (result.sent, result.lost) == (1_234_567, 1_234_567 - result.completed)


def test_a_broken_export_is_named() -> None:
    exports = replace(read_exports(EXPORTS / "hanging", RATE), phases={"rate": "{"})
    with pytest.raises(UnreadableExport, match="result of phase rate is unreadable"):
        parse(spec(RATE), exports)


def with_records(case: str, phases: tuple[LoadPhase, ...], change: Callable[[str], str]) -> Exports:
    exports = read_exports(EXPORTS / case, phases)
    return replace(exports, records=change(exports.records))


def cut(text: str) -> str:
    """End in the middle of the last record, as a tool that was killed does."""
    return text.rstrip("\n")[:-40]


def test_a_truncated_last_record_is_lost_alone() -> None:
    before = recorded("waves", WAVES)
    after = parse(spec(WAVES), with_records("waves", WAVES, cut))
    assert [len(r.requests) for r in before] == [5, 3, 16]
    assert sum(len(r.requests) for r in after) == 5 + 3 + 16 - 1
    assert all(r.steady is not None for r in after if r.phase != "fill")


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x85", "é🙂"])
def test_odd_characters_in_an_error_text_lose_nothing(odd: str) -> None:
    exports = with_records(
        "failing", RATE, lambda text: text.replace("no worker", f"no{odd}worker")
    )
    (result,) = parse(spec(RATE), exports)
    assert (result.completed, result.errors, len(result.requests)) == (20, 3, 20)
    assert result.error_messages == (f'500: {{"error": {{"message": "no{odd}worker"}}}}',)


def test_a_byte_that_is_no_character_loses_nothing(tmp_path: Path) -> None:
    shutil.copytree(EXPORTS / "failing", tmp_path / "failing")
    records = tmp_path / "failing" / "profile_export.jsonl"
    records.write_bytes(records.read_bytes().replace(b"no worker", b"no \xff worker"))
    (result,) = parse(spec(RATE), read_exports(tmp_path / "failing", RATE))
    assert result.completed == 20


def test_records_none_of_which_is_readable_are_a_failure() -> None:
    with pytest.raises(UnreadableExport, match="none of AIPerf's 1 records"):
        parse(spec(WAVES), with_records("waves", WAVES, lambda _: "{"))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "0", "-3"])
def test_a_request_whose_latency_is_no_duration_has_no_times(value: str) -> None:
    def spoil(text: str) -> str:
        first, rest = text.split("\n", 1)
        return (
            re.sub(r'("time_to_first_token": {"value": )[\d.]+', rf"\g<1>{value}", first)
            + "\n"
            + rest
        )

    (alone, *_) = parse(spec(WAVES), with_records("waves", WAVES, spoil))
    assert len(alone.requests) == 4


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-1"])
def test_a_count_that_is_no_number_is_named(value: str) -> None:
    exports = read_exports(EXPORTS / "hanging", RATE)
    bad = f'{{"request_count": {{"avg": {value}}}}}'
    with pytest.raises(UnreadableExport, match="phase rate has request_count"):
        parse(spec(RATE), replace(exports, phases={"rate": bad}))
