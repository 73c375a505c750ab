"""The data that mocked engines replay are the truth that measurements are checked against."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest

from dgdr_profiler.core.shape import Mapping
from dgdr_profiler.engines.mocker import profile_key
from hack import mocker_profiles
from hack.mocker_profiles import ATTENTION, TENSOR_PARALLEL_SIZES, itl_ms, profile_arrays, ttft_ms

# What kubectl keeps of an applied object in its annotation.
MAX_ANNOTATION_BYTES = 262_144


def bilinear(arrays: dict[str, np.ndarray], kv_tokens: float, context: float) -> float:
    """Look a decode step up as the mocker does."""
    along_context = [
        np.interp(context, arrays["decode_context_length"], row) for row in arrays["decode_itl"]
    ]
    return float(np.interp(kv_tokens, arrays["decode_active_kv_tokens"], along_context))


@pytest.mark.parametrize("tp", TENSOR_PARALLEL_SIZES)
def test_arrays_have_the_mockers_keys_types_and_shapes(tp: int) -> None:
    arrays = profile_arrays(tp)
    assert sorted(arrays) == [
        "decode_active_kv_tokens",
        "decode_context_length",
        "decode_itl",
        "prefill_isl",
        "prefill_ttft_ms",
    ]
    rows, columns = arrays["decode_active_kv_tokens"].size, arrays["decode_context_length"].size
    assert arrays["decode_itl"].shape == (rows, columns)
    assert arrays["prefill_isl"].size == arrays["prefill_ttft_ms"].size == 100
    assert arrays["prefill_isl"][-1] == 32768
    assert {array.dtype for array in arrays.values()} == {np.dtype("float64")}


@pytest.mark.parametrize("tp", TENSOR_PARALLEL_SIZES)
@pytest.mark.parametrize(
    ("batch", "context"), [(1, 40), (1, 20_000), (3, 500), (17, 4123), (64, 16_000), (256, 4000)]
)
def test_a_look_up_between_the_grid_points_is_within_a_thousandth(
    tp: int, batch: int, context: int
) -> None:
    kv_tokens = batch * context
    looked_up = bilinear(profile_arrays(tp), kv_tokens, context)
    assert looked_up == pytest.approx(itl_ms(tp, batch, kv_tokens), rel=1e-3)


@pytest.mark.parametrize("isl", [330, 512, 2048, 9999, 32768])
def test_prefill_between_the_points_is_within_a_thousandth(isl: int) -> None:
    arrays = profile_arrays(2)
    looked_up = np.interp(isl, arrays["prefill_isl"], arrays["prefill_ttft_ms"])
    assert looked_up == pytest.approx(ttft_ms(2, isl), rel=1e-3)


def test_one_gpu_is_the_published_fit() -> None:
    assert ttft_ms(1, 1000) == pytest.approx(18.55 + 14.110 + 0.4919)
    assert itl_ms(1, 10, 10_000) == pytest.approx(4.452 + 0.22245 + 0.316)


def test_more_gpus_are_faster_but_each_does_less() -> None:
    for small, large in ((1, 2), (2, 4)):
        for slow, fast in (
            (ttft_ms(small, 2048), ttft_ms(large, 2048)),
            (itl_ms(small, 8, 16_000), itl_ms(large, 8, 16_000)),
        ):
            assert fast < slow < 2 * fast


def test_a_rank_of_a_mixture_is_slower_than_all_its_gpus_together_and_faster_than_one() -> None:
    assert ttft_ms(8, 2048) < ttft_ms(8, 2048, ATTENTION) < ttft_ms(1, 2048)
    assert itl_ms(8, 8, 16_000) < itl_ms(8, 8, 16_000, ATTENTION) < itl_ms(1, 8, 16_000)


@pytest.mark.parametrize("tp", [0, 3, -2])
def test_a_size_without_a_scaling_is_refused(tp: int) -> None:
    with pytest.raises(ValueError, match=f"power of two, got {tp}"):
        ttft_ms(tp, 100)


def test_the_config_map_can_be_applied_and_read_back(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert mocker_profiles.main(["--configmap", "mocker-profiles", "--namespace", "demo"]) == 0
    printed = capsys.readouterr().out
    assert len(printed) < MAX_ANNOTATION_BYTES
    manifest = json.loads(printed)
    assert manifest["metadata"] == {"name": "mocker-profiles", "namespace": "demo"}
    keys = {
        profile_key(mapping)
        for mapping in (
            *(Mapping.tensor(tp) for tp in TENSOR_PARALLEL_SIZES),
            Mapping.tensor_expert(8),
            Mapping.data_expert(8),
        )
    }
    assert set(manifest["binaryData"]) == keys
    content = base64.b64decode(manifest["binaryData"]["tp-4.npz"])
    with np.load(io.BytesIO(content)) as loaded:
        np.testing.assert_array_equal(loaded["decode_itl"], profile_arrays(4)["decode_itl"])


def test_files_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        assert mocker_profiles.main(["--out", str(tmp_path / folder)]) == 0
    for file in ("tp-1.npz", "tp-4.npz", "dep-8.npz"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
