"""The public profile as data: Llama-3.1-8B-FP8 on H200."""

from functools import cache

from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.npz import read_decode, read_prefill
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
