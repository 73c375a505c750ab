"""What NVIDIA's planner 0.9 would ask for, for the load that is planned for here.

Its formulas and correction factors; forecast, bounds, steps and budget are ours, because theirs may
exceed a budget and act on missing data.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from dgdr_api.graph import Role
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.classic import (
    UNLIMITED,
    ClassicError,
    ClassicInput,
    ClassicProfile,
    classic_replicas,
    decode_correction,
    prefill_correction,
)
from dgdr_perf.curve_fit import ProfileError
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.observation import LoadSeen, TargetSeen
from dgdr_planner.observe.value import Trouble, number
from dgdr_planner.policy import Policy

# Profiles that are compared at one time; to interpolate one takes a good part of a second.
KEPT_PROFILES = 32


def classic_needs(
    profile: EngineProfile,
    forecast: Forecast,
    target: TargetSeen,
    load: LoadSeen,
    policy: Policy,
) -> Mapping[Role, int] | Trouble:
    """Return the replicas of both roles, or why the formulas have no answer."""
    if profile.data is None or forecast.isl is None or forecast.osl is None:
        return Trouble(
            "ClassicImpossible", "Classic needs profile data and the lengths of requests"
        )
    window = ClassicInput(
        n=forecast.planned * policy.interval_s,
        isl=forecast.isl,
        osl=forecast.osl,
        interval_s=policy.interval_s,
        ttft_ms=policy.targets.ttft_ms,
        itl_ms=policy.targets.itl_ms,
        gpus_p=max(target.role(Role.PREFILL).gpus_per_replica, 1),
        gpus_d=max(target.role(Role.DECODE).gpus_per_replica, 1),
        max_gpu_budget=UNLIMITED,
    )
    try:
        curves = _interpolated(*profile.data)
        found = classic_replicas(curves, _corrected(curves, window, target, load))
    except (ClassicError, ProfileError) as exc:
        return Trouble("ClassicImpossible", str(exc))
    return {Role.PREFILL: found.prefill, Role.DECODE: found.decode}


@lru_cache(maxsize=KEPT_PROFILES)
def _interpolated(prefill: PrefillData, decode: DecodeData) -> ClassicProfile:
    return ClassicProfile.of(prefill, decode)


def _corrected(
    curves: ClassicProfile, window: ClassicInput, target: TargetSeen, load: LoadSeen
) -> ClassicInput:
    """Return the window with the correction factors of what was observed, where that is known."""
    ttft_ms, itl_ms = number(load.ttft_ms), number(load.itl_ms)
    isl, duration_s = number(load.isl), number(load.duration_s)
    ready = target.role(Role.DECODE).ready
    if ttft_ms is None or itl_ms is None or isl is None or duration_s is None or not ready:
        return window
    return replace(
        window,
        p_corr=prefill_correction(curves, ttft_ms, isl),
        d_corr=decode_correction(curves, itl_ms, window, ready, duration_s),
    )
