from dataclasses import replace

import numpy as np
import pytest

from dgdr_api.points import Source
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import Provenance
from dgdr_perf import npz
from dgdr_perf.drawn import drawn_decode, drawn_prefill
from dgdr_perf.engine_profile import EngineProfile

CONFIG_MAP_BYTES = 1024 * 1024


def sources(rows: int, source: Source = Source.MEASURED) -> Provenance:
    return Provenance(sources=(source,) * rows)


PREFILL = PrefillData(
    isl=(256, 739, 2057, 6153),
    ttft_ms=(88.0, 117.0, 198.0, 496.0),
    thpt_per_gpu=(2900, 6300, 10_400, 12_400),
    provenance=sources(4),
)
BATCH = np.array([1, 8, 30, 1, 8, 30, 1, 8])
CONTEXT = np.array([313.0, 313, 313, 2105, 2105, 2105, 6200, 6200])
ITL_MS = 17.8 + 0.089 * BATCH + 0.000126 * BATCH * CONTEXT
DECODE = DecodeData(
    kv_usage=tuple(BATCH * CONTEXT / 65536),
    context_length=tuple(CONTEXT),
    itl_ms=tuple(ITL_MS),
    thpt_per_gpu=tuple(1000 * BATCH / ITL_MS),
    max_kv_tokens=65536,
    max_num_seqs=64,
    provenance=sources(8),
)


def test_what_was_measured_stays_beside_the_rows() -> None:
    assert drawn_prefill(PREFILL, 1).fitted == PREFILL
    assert drawn_decode(DECODE, 1).fitted == DECODE


@pytest.mark.parametrize("stored", ["json", "npz"])
def test_a_fit_of_what_was_written_is_the_fit_of_the_points(stored: str) -> None:
    prefill, decode = drawn_prefill(PREFILL, 1), drawn_decode(DECODE, 1)
    if stored == "json":
        read = EngineProfile.from_json(prefill.to_json(), decode.to_json())
    else:
        written = npz.write_prefill(prefill), npz.write_decode(decode)
        read = EngineProfile.of(npz.read_prefill(written[0]), npz.read_decode(written[1]))
    own = EngineProfile.of(PREFILL, DECODE)
    isl, batches = np.linspace(64, 20_000, 50), np.linspace(1, 200, 50)
    assert (read.prefill.ttft_of_lengths(isl) == own.prefill.ttft_of_lengths(isl)).all()
    for context in (100, 2000, 9000):
        again = read.decode.itl_of_batches(batches, context)
        assert (again == own.decode.itl_of_batches(batches, context)).all()
    assert read.max_num_seqs == own.max_num_seqs
    assert (read.prefill.source, read.decode.source) == (Source.MEASURED, Source.MEASURED)
    assert not read.prefill.covers(np.array([6154.0]))
    assert not read.decode.covers(33, 1000)


def test_prefill_is_drawn_from_the_shortest_to_the_longest_measured_prompt() -> None:
    drawn = drawn_prefill(PREFILL, 2)
    assert (drawn.isl[0], drawn.isl[-1]) == (256, 6153)
    assert set(drawn.provenance.sources or ()) == {Source.INTERPOLATED}
    assert drawn.thpt_per_gpu[-1] == pytest.approx(1000 * 6153 / drawn.ttft_ms[-1] / 2, rel=1e-5)


def test_prompts_next_to_each_other_give_each_length_once() -> None:
    near = replace(PREFILL, isl=(100, 101, 102, 103))
    assert drawn_prefill(near, 1).isl == (100, 101, 102, 103)


def test_no_row_beyond_the_measured_ones_passes_as_read_between_them() -> None:
    drawn = drawn_decode(DECODE, 1)
    assert drawn.provenance.sources is not None
    for usage, context, source in zip(
        drawn.kv_usage, drawn.context_length, drawn.provenance.sources, strict=True
    ):
        batch = usage * 65536 / max(context, 1)
        inside = 0.97 <= batch <= 30.7 and context >= 306 and batch * context <= 2105 * 30 * 1.021
        assert source is (Source.INTERPOLATED if inside else Source.ESTIMATED)


def test_rows_between_estimates_are_estimates() -> None:
    guessed = replace(DECODE, provenance=sources(8, Source.ESTIMATED))
    assert set(drawn_decode(guessed, 1).provenance.sources or ()) == {Source.ESTIMATED}


def test_rows_of_points_from_nobody_knows_where_say_nothing() -> None:
    drawn = drawn_decode(replace(DECODE, provenance=Provenance()), 1)
    assert drawn.provenance.sources is None


def test_a_batch_beyond_what_the_engine_runs_counts_as_the_largest_that_it_runs() -> None:
    drawn = drawn_decode(DECODE, 1)
    shortest = [i for i, context in enumerate(drawn.context_length) if 300 < context < 400][-1]
    assert drawn.kv_usage[shortest] == 1.0
    assert drawn.thpt_per_gpu[shortest] * drawn.itl_ms[shortest] / 1000 == pytest.approx(
        64, rel=1e-4
    )


def test_throughput_and_latency_agree_in_every_row() -> None:
    drawn = drawn_decode(DECODE, 4)
    batch = np.array(drawn.thpt_per_gpu) * np.array(drawn.itl_ms) * 4 / 1000
    assert batch.min() >= 0.999
    assert batch.max() <= 64.01


def test_all_that_is_written_fills_a_tenth_of_a_config_map() -> None:
    prefill, decode = drawn_prefill(PREFILL, 1), drawn_decode(DECODE, 1)
    texts = len(prefill.to_json()) + len(decode.to_json())
    archives = len(npz.write_prefill(prefill)) + len(npz.write_decode(decode))
    assert max(texts, archives) < CONFIG_MAP_BYTES / 10


def test_ranks_that_prefill_side_by_side_have_their_throughput_together() -> None:
    alone, spread = drawn_prefill(PREFILL, 8), drawn_prefill(replace(PREFILL, ranks=8), 8)
    assert spread.thpt_per_gpu == pytest.approx([8 * n for n in alone.thpt_per_gpu], rel=1e-5)
    assert npz.read_prefill(npz.write_prefill(spread)).ranks == 8
