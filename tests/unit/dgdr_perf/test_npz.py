import io

import numpy as np
import pytest

from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_api.provenance import ProfileDataError
from dgdr_perf import npz
from dgdr_perf.engine_profile import EngineProfile

PREFILL = PrefillData(isl=(512, 2048), ttft_ms=(26.1, 49.5), thpt_per_gpu=(19_600, 41_300))
DECODE = DecodeData(
    kv_usage=(0.001, 0.02),
    context_length=(1000, 1200),
    itl_ms=(4.5, 5.5),
    thpt_per_gpu=(210, 3000),
    max_kv_tokens=945_029,
)


def test_what_was_written_is_read() -> None:
    assert npz.read_prefill(npz.write_prefill(PREFILL)) == PREFILL
    assert npz.read_decode(npz.write_decode(DECODE)) == DECODE


@pytest.mark.parametrize(
    ("content", "name", "dtype", "shape"),
    [
        (npz.write_prefill(PREFILL), "prefill_isl", np.int64, (2,)),
        (npz.write_prefill(PREFILL), "prefill_ttft", np.float64, (2,)),
        (npz.write_prefill(PREFILL), "prefill_thpt_per_gpu", np.float64, (2,)),
        (npz.write_decode(DECODE), "x_kv_usage", np.float64, (2,)),
        (npz.write_decode(DECODE), "y_context_length", np.float64, (2,)),
        (npz.write_decode(DECODE), "z_itl", np.float64, (2,)),
        (npz.write_decode(DECODE), "z_thpt_per_gpu", np.float64, (2,)),
        (npz.write_decode(DECODE), "max_kv_tokens", np.int64, (1,)),
    ],
)
def test_arrays_are_upstreams(
    content: bytes, name: str, dtype: type[np.generic], shape: tuple[int, ...]
) -> None:
    array = np.load(io.BytesIO(content))[name]
    assert (array.dtype, array.shape) == (np.dtype(dtype), shape)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rest", b"\x80\x04N."])
def test_another_file_is_refused(content: bytes) -> None:
    with pytest.raises(ProfileDataError, match="no NPZ archive"):
        npz.read_prefill(content)


@pytest.mark.parametrize(
    ("ours", "says"), [(b"{", "array dgdr_json is no JSON"), (b"[]", "is a list, not an object")]
)
def test_what_upstream_does_not_know_must_be_an_object(ours: bytes, says: str) -> None:
    buffer = io.BytesIO()
    arrays = dict(np.load(io.BytesIO(npz.write_prefill(PREFILL))))
    np.savez(buffer, **arrays, dgdr_json=np.frombuffer(ours, dtype=np.uint8))
    with pytest.raises(ProfileDataError, match=says):
        npz.read_prefill(buffer.getvalue())


def test_a_missing_array_is_named() -> None:
    with pytest.raises(ProfileDataError, match="array prefill_isl is missing; found max_kv_tokens"):
        npz.read_prefill(npz.write_decode(DECODE))


def test_a_profile_comes_from_the_two_json_files() -> None:
    profile = EngineProfile.from_json(PREFILL.to_json(), DECODE.to_json())
    assert profile.max_kv_tokens == 945_029
    assert profile.prefill.ttft_ms(2048).value_ms == pytest.approx(49.5, rel=0.01)
    assert profile.decode.itl_ms(15.75, 1200).value_ms == pytest.approx(5.5, rel=0.01)
