"""Upstream's planner of release 0.9.1 as a controller."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
from dgdr_planner.replay.controllers import Replicas
from dgdr_planner.replay.window import WindowSeen

Predictor = Callable[[Sequence[float]], float]


def last_value(history: Sequence[float]) -> float:
    """Upstream's ``constant`` predictor."""
    return history[-1]


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
    _past: dict[str, list[float]] = field(default_factory=dict)

    def __call__(self, seen: WindowSeen) -> Replicas:
        """Return what upstream would patch."""
        if math.isnan(seen.isl) or math.isnan(seen.osl) or not seen.itl_ms.size:
            return {}
        window = self._window(seen)
        expected = replace(
            window,
            n=self._next("n", window.n),
            isl=self._next("isl", window.isl),
            osl=self._next("osl", window.osl),
        )
        if any(counts.pending or counts.terminating for counts in seen.roles.values()):
            return {}
        try:
            wanted = classic_replicas(self.profile, self._corrected(expected, window, seen))
        except ClassicError:
            return {}
        return {
            Role.PREFILL: min(wanted.prefill, self.most),
            Role.DECODE: min(wanted.decode, self.most),
        }

    def _next(self, name: str, value: float) -> float:
        past = self._past.setdefault(name, [])
        past.append(value)
        return max(self.predictor(past), 0.0)

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

    def _corrected(
        self, expected: ClassicInput, window: ClassicInput, seen: WindowSeen
    ) -> ClassicInput:
        itl_ms, ready = float(seen.itl_ms.mean()), seen.roles[Role.DECODE].ready
        return replace(
            expected,
            p_corr=prefill_correction(self.profile, float(seen.ttft_ms.mean()), seen.isl),
            d_corr=decode_correction(self.profile, itl_ms, window, ready, seen.duration_s),
        )
