"""The public profile, Llama-3.1-8B-FP8 on H200, and two that were made up."""

from functools import cache

import numpy as np

from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.npz import read_decode, read_prefill
from dgdr_perf.prefill_curve import PrefillCurve
from hack.reference_profile import reference_profile


@cache
def reference_data() -> tuple[PrefillData, DecodeData]:
    folder = reference_profile()
    return (
        read_prefill((folder / "selected_prefill_interpolation/raw_data.npz").read_bytes()),
        read_decode((folder / "selected_decode_interpolation/raw_data.npz").read_bytes()),
    )


@cache
def reference_engine() -> EngineProfile:
    return EngineProfile.of(*reference_data())


def made_up(
    prefill: tuple[float, float, float],
    decode: tuple[float, float, float],
    max_kv_tokens: int,
    noise: float,
    max_num_seqs: int | None = None,
) -> EngineProfile:
    """Fit ``a + b isl + c isl^2`` and ``a + b batch + c kv`` with noise on every point."""
    rng = np.random.default_rng(11)
    isl = np.geomspace(64, 32_000, 12)
    ttft = prefill[0] + prefill[1] * isl + prefill[2] * isl**2
    batch, context = (axis.ravel() for axis in np.meshgrid([1, 8, 32, 128], [256, 2048, 16_384]))
    itl = decode[0] + decode[1] * batch + decode[2] * batch * context
    return EngineProfile(
        prefill=PrefillCurve.fit(isl.tolist(), (ttft * rng.lognormal(0, noise, isl.size)).tolist()),
        decode=DecodeSurface.fit(
            batch.tolist(), context.tolist(), (itl * rng.lognormal(0, noise, itl.size)).tolist()
        ),
        max_kv_tokens=max_kv_tokens,
        max_num_seqs=max_num_seqs,
    )


def profiles() -> dict[str, EngineProfile]:
    """The public profile; a large model with little cache; a small one, badly measured."""
    return {
        "8B on H200": reference_engine(),
        "70B, little cache": made_up((60, 0.09, 2e-6), (18, 0.09, 9e-5), 224_133, 0.03),
        "3B, noisy": made_up((8, 0.006, 1e-7), (3, 0.03, 1e-5), 400_000, 0.25, max_num_seqs=256),
    }
