"""Upstream's planner of release 0.9.1 as a controller."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from dgdr_api.graph import Role
from dgdr_perf.classic import (
    UNLIMITED,
    ClassicError,
    ClassicInput,
    ClassicProfile,
    classic_replicas,
    decode_correction,
    prefill_correction,
)
from dgdr_perf.sizing import Targets
from dgdr_rehearsal.replay.controllers import Replicas
from dgdr_rehearsal.replay.window import WindowSeen


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What upstream's predictor says of a window: requests and mean lengths."""

    n: float
    isl: float
    osl: float


Predictor = Callable[[WindowSeen], Expected]


def last_value(seen: WindowSeen) -> Expected:
    """Upstream's ``constant`` predictor: the next window is like the last."""
    return Expected(n=float(seen.started), isl=seen.isl, osl=seen.osl)


@dataclass(frozen=True, slots=True)
class Foretold:
    """Predictions made before, one per window: what arrives depends on no controller."""

    windows: Sequence[Expected]

    def __call__(self, seen: WindowSeen) -> Expected:
        """Return what was said of the window that begins now."""
        return self.windows[min(round(seen.t_s / seen.window_s), len(self.windows) - 1)]


@dataclass(slots=True, kw_only=True)
class Classic:
    """Sizes for the next interval alone, and drops the change while replicas are not ready.

    It is given the requests that were started, not those that ended, which is more than 0.9.1
    had. A window without a finished request is skipped, as upstream skips its NaN.
    """

    profile: ClassicProfile
    targets: Targets
    gpus: Mapping[Role, int]
    most: int
    predictor: Predictor = last_value

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return what upstream would patch."""
        if math.isnan(seen.isl) or math.isnan(seen.osl) or not seen.itl_ms.size:
            return {}
        if any(counts.pending or counts.terminating for counts in seen.roles.values()):
            return {}
        try:
            wanted = classic_replicas(self.profile, self._input(seen))
        except ClassicError:
            return {}
        return {
            Role.PREFILL: min(wanted.prefill, self.most),
            Role.DECODE: min(wanted.decode, self.most),
        }

    def _input(self, seen: WindowSeen) -> ClassicInput:
        expected = self.predictor(seen)
        window = self._window(seen)
        itl_ms, ready = float(seen.itl_ms.mean()), seen.roles[Role.DECODE].ready
        return replace(
            window,
            n=expected.n,
            isl=expected.isl,
            osl=expected.osl,
            p_corr=prefill_correction(self.profile, float(seen.ttft_ms.mean()), seen.isl),
            d_corr=decode_correction(self.profile, itl_ms, window, ready, seen.duration_s),
        )

    def _window(self, seen: WindowSeen) -> ClassicInput:
        return ClassicInput(
            n=float(seen.started),
            isl=seen.isl,
            osl=seen.osl,
            interval_s=seen.window_s,
            ttft_ms=self.targets.ttft_ms,
            itl_ms=self.targets.itl_ms,
            gpus_p=self.gpus[Role.PREFILL],
            gpus_d=self.gpus[Role.DECODE],
            max_gpu_budget=UNLIMITED,
        )
