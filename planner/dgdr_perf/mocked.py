"""What Dynamo's mocker replays: the measured curves as the tables that every release reads.

The mocker looks times up in one NPZ, bilinearly between rows. It also takes upstream's two curves,
but what it makes of those differs by release: a cubic through the rows in 1.0, a plane through all
of them since. So the tables are drawn here.
"""

import io

import numpy as np

from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.curve_fit import Array
from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.prefill_curve import PrefillCurve

PREFILL_ROWS = 64
KV_ROWS = 33
# At a constant number of KV tokens the batch, and with it the time, falls with 1/context.
CONTEXT_COLUMNS = 64
SHORTEST_TOKENS = 16
# The mocker takes the last row for all beyond it, as if longer prompts took no longer.
BEYOND = 4


def write_mocked(prefill: PrefillData, decode: DecodeData) -> bytes:
    """Return the NPZ for ``--planner-profile-data``: milliseconds, by prompt, KV tokens, context.

    Raises:
        ProfileError: names the point that cannot be used.
    """
    curve, surface = PrefillCurve.of(prefill), DecodeSurface.of(decode)
    isl = _lengths(max(prefill.isl), PREFILL_ROWS)
    kv_tokens = np.linspace(0, decode.max_kv_tokens, KV_ROWS)
    context = _lengths(max(decode.context_length), CONTEXT_COLUMNS)
    columns = [surface.itl_of_batches(kv_tokens / tokens, float(tokens)) for tokens in context]
    buffer = io.BytesIO()
    np.savez(
        buffer,
        allow_pickle=False,
        prefill_isl=isl,
        prefill_ttft_ms=curve.ttft_of_lengths(isl),
        decode_active_kv_tokens=kv_tokens,
        decode_context_length=context,
        decode_itl=np.stack(columns, axis=1),
    )
    return buffer.getvalue()


def _lengths(longest: float, count: int) -> Array:
    return np.geomspace(SHORTEST_TOKENS, BEYOND * longest, count)
