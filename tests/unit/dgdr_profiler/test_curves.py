import io
import math
from collections.abc import Mapping

import numpy as np
import pytest

from dgdr_api.points import Source
from dgdr_api.profile_data import PrefillData
from dgdr_perf.npz import write_decode, write_prefill
from dgdr_profiler.core.cells import decode_cell, prefill_cell
from dgdr_profiler.core.curves import TooFewPoints, decode_data, prefill_data
from dgdr_profiler.core.engine_curves import EngineCurves
from support.profiling import TP1, TP2, point

PREFILL = [point(TP2, prefill_cell(isl)) for isl in (6144, 256, 2048, 739)]
DECODE = [point(TP2, decode_cell(isl, 96, n)) for isl in (2048, 256) for n in (30, 1)]


def test_prefill_throughput_is_computed_per_gpu() -> None:
    data = prefill_data(PREFILL)
    assert data.isl == (265.0, 748.0, 2057.0, 6153.0)
    assert data.thpt_per_gpu == pytest.approx(
        [1000 * isl / ttft / 2 for isl, ttft in zip(data.isl, data.ttft_ms, strict=True)]
    )


def test_decode_has_upstreams_coordinates() -> None:
    data = decode_data(DECODE, 65536)
    assert data.context_length == (313.0, 313.0, 2105.0, 2105.0)
    assert data.kv_usage == pytest.approx(
        [313 * 1 / 65536, 313 * 30 / 65536, 2105 / 65536, 2105 * 30 / 65536]
    )
    assert data.thpt_per_gpu[1] == pytest.approx(1000 * 30 / data.itl_ms[1] / 2)


def test_the_batch_that_was_reached_counts_and_not_the_one_asked_for() -> None:
    starved = [p.model_copy(update={"effective_concurrency": 0.5}) for p in DECODE]
    assert decode_data(starved, 65536).kv_usage[1] == pytest.approx(313 * 0.5 / 65536)


@pytest.mark.parametrize("hollow", [{"ttft_ms": None}, {"ttft_ms": 0.0}])
def test_points_without_a_latency_are_dropped(hollow: dict[str, float | None]) -> None:
    bad = point(TP1, prefill_cell(999)).model_copy(update=hollow)
    assert 1008.0 not in prefill_data([*PREFILL, bad]).isl


def test_too_few_points_are_no_curve() -> None:
    with pytest.raises(TooFewPoints, match="3 prefill points were measured; a curve needs 4"):
        prefill_data(PREFILL[:3])
    with pytest.raises(TooFewPoints, match="0 decode points"):
        decode_data([], 65536)


def test_a_curve_says_of_each_point_whether_it_was_measured() -> None:
    data = prefill_data(PREFILL)
    assert data.provenance.sources == (Source.MEASURED,) * len(data.isl)
    guessed = [PREFILL[0].model_copy(update={"source": Source.ESTIMATED}), *PREFILL[1:]]
    assert prefill_data(guessed).provenance.source is Source.ESTIMATED
    assert decode_data(DECODE, 65536).provenance.source is Source.MEASURED


def shapes(archive: Mapping[str, np.ndarray]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Leave out what upstream does not know, whose length says nothing."""
    arrays = {key: array for key, array in archive.items() if key != "dgdr_json"}
    return {key: (str(array.dtype), array.shape) for key, array in arrays.items()}


def test_how_many_requests_an_engine_runs_at_once_is_part_of_its_curve() -> None:
    assert decode_data(DECODE, 65536).max_num_seqs == 256
    silent = [p.model_copy(update={"max_batch": None}) for p in DECODE]
    assert decode_data(silent, 65536).max_num_seqs is None


def test_the_archives_hold_upstreams_keys_dtypes_and_shapes() -> None:
    prefill = np.load(io.BytesIO(write_prefill(prefill_data(PREFILL))))
    assert shapes(prefill) == {
        "prefill_isl": ("int64", (4,)),
        "prefill_ttft": ("float64", (4,)),
        "prefill_thpt_per_gpu": ("float64", (4,)),
    }
    decode = np.load(io.BytesIO(write_decode(decode_data(DECODE, 65536))))
    assert shapes(decode) == {
        "x_kv_usage": ("float64", (4,)),
        "y_context_length": ("float64", (4,)),
        "z_itl": ("float64", (4,)),
        "z_thpt_per_gpu": ("float64", (4,)),
        "max_kv_tokens": ("int64", (1,)),
    }


def test_the_json_reads_back() -> None:
    data = prefill_data(PREFILL)
    assert PrefillData.from_json(data.to_json()) == data
    assert all(math.isfinite(v) for v in data.ttft_ms)


def test_prompts_that_were_sent_to_every_rank_at_once_make_a_curve_of_that_many_ranks() -> None:
    spread = [point(TP2, prefill_cell(isl, ranks=8)) for isl in (256, 739, 2048, 6144)]
    data = prefill_data(spread)
    assert data.ranks == EngineCurves.of(spread, []).ranks == 8
    alone = prefill_data(PREFILL)
    assert data.thpt_per_gpu == pytest.approx([8 * n for n in alone.thpt_per_gpu])
