"""The mocker is told what was measured."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.curve_fit import Array
from dgdr_perf.drawn import drawn_decode, drawn_prefill
from dgdr_perf.mocked import write_mocked

CONFIG_MAP_BYTES = 1024 * 1024
MAX_KV_TOKENS = 65536


def ttft_ms(isl: Array) -> Array:
    return 18.0 + 0.014 * isl + 5e-7 * isl**2


def itl_ms(batch: Array, context: Array) -> Array:
    return 4.5 + 0.03 * batch + 3e-5 * batch * context


ISL = np.array([128.0, 512, 1024, 2048, 4096, 8192])
BATCH, CONTEXT = (axis.ravel() for axis in np.meshgrid([1.0, 4, 16], [512.0, 1024, 2048]))
PREFILL = PrefillData(
    isl=tuple(ISL), ttft_ms=tuple(ttft_ms(ISL)), thpt_per_gpu=tuple(1000 * ISL / ttft_ms(ISL))
)
DECODE = DecodeData(
    kv_usage=tuple(BATCH * CONTEXT / MAX_KV_TOKENS),
    context_length=tuple(CONTEXT),
    itl_ms=tuple(itl_ms(BATCH, CONTEXT)),
    thpt_per_gpu=tuple(1000 * BATCH / itl_ms(BATCH, CONTEXT)),
    max_kv_tokens=MAX_KV_TOKENS,
)
WRITTEN = write_mocked(drawn_prefill(PREFILL, 1), drawn_decode(DECODE, 1))
TABLES = dict(np.load(io.BytesIO(WRITTEN)))


def told_itl_ms(kv_tokens: float, context: float) -> float:
    """Look up as the mocker does: bilinearly."""
    rows, columns = TABLES["decode_active_kv_tokens"], TABLES["decode_context_length"]
    by_row = [np.interp(context, columns, row) for row in TABLES["decode_itl"]]
    return float(np.interp(kv_tokens, rows, by_row))


@given(st.floats(128, 8192))
def test_a_prefill_takes_as_long_as_it_was_measured(isl: float) -> None:
    told = np.interp(isl, TABLES["prefill_isl"], TABLES["prefill_ttft_ms"])
    assert told == pytest.approx(float(ttft_ms(np.array(isl))), rel=0.01)


@given(st.floats(1, 16), st.floats(512, 2048))
def test_a_step_takes_as_long_as_it_was_measured(batch: float, context: float) -> None:
    true = float(itl_ms(np.array(batch), np.array(context)))
    assert told_itl_ms(batch * context, context) == pytest.approx(true, rel=0.02)


def test_prompts_beyond_the_measured_ones_take_longer() -> None:
    assert TABLES["prefill_isl"][-1] > max(ISL)
    assert (np.diff(TABLES["prefill_ttft_ms"]) > 0).all()


def test_the_tables_leave_room_in_a_config_map() -> None:
    assert len(WRITTEN) < 0.05 * CONFIG_MAP_BYTES
