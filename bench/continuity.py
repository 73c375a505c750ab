"""Cliffs: replicas while one input grows in steps of 1 %, others held.

For each profile, sizing and percentile: ``jump`` is the largest step of the continuous need in
replicas, ``jump_share`` the largest as a share among steps of more than one replica; ``broken``
counts steps of more than one replica and more than 5 %, ``rounded`` the same after rounding up,
``falling`` steps on which a harder demand gets fewer replicas, ``bad`` negative or non-finite
answers. ``upstream`` is what release 0.9.1 does on the public profile.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from bench.reference import profiles, reference_data
from dgdr_perf.classic import UNLIMITED, ClassicInput, ClassicProfile, classic_replicas
from dgdr_perf.curve_fit import Array
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import (
    Dispatch,
    Percentile,
    Sizing,
    Targets,
    Workload,
    size_aggregated,
    size_decode,
    size_prefill,
)

STEP = 1.01
LARGEST = 0.05
# Of the need: replicas are evaluated at 600 batches and read between them.
EVEN = 1e-4
LOAD = Workload(rate_per_s=45.0, isl=3000.0, osl=300.0)
TARGETS = Targets(ttft_ms=500.0, itl_ms=20.0)
# (from, to), from the easiest demand to the hardest; 10.1 asks for ISL 50 to 16,000, ITL 8 to 50.
RANGES = {
    "isl": (50.0, 16_000.0),
    "osl": (10.0, 4000.0),
    "rate_per_s": (0.1, 200.0),
    "ttft_ms": (4000.0, 20.0),
    "itl_ms": (80.0, 3.0),
}
Size = Callable[[EngineProfile, Workload, Targets], Sizing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What happened while one input went from easy to hard."""

    jump: float
    jump_share: float
    broken: int
    rounded: int
    falling: int
    bad: int

    @classmethod
    def of(cls, exact: list[float], replicas: list[int]) -> "Sweep":
        need, whole = np.array(exact), np.array(replicas, dtype=np.float64)
        steps, shares = _steps(need)
        jumps, jump_shares = _steps(whole)
        return cls(
            jump=round(float(steps.max()), 3),
            jump_share=round(float(shares[steps > 1].max(initial=0.0)), 4),
            broken=int(((steps > 1) & (shares > LARGEST)).sum()),
            rounded=int(((jumps > 1) & (jump_shares > LARGEST)).sum()),
            falling=int((np.diff(need) < -EVEN * need[:-1]).sum() + (np.diff(whole) < 0).sum()),
            bad=int((~np.isfinite(need)).sum() + (need < 0).sum() + (whole < 1).sum()),
        )


def _steps(values: Array) -> tuple[Array, Array]:
    """Steps between neighbours, and their share of the smaller neighbour."""
    steps = np.abs(np.diff(values))
    return steps, steps / np.maximum(np.minimum(values[:-1], values[1:]), 1e-9)


def values(name: str, step: float = STEP) -> list[float]:
    """The inputs of one sweep."""
    first, last = RANGES[name]
    steps = int(abs(np.log(last / first)) / np.log(step))
    return [first * step ** (np.sign(last - first) * index) for index in range(steps + 1)]


def at(name: str, value: float, targets: Targets) -> tuple[Workload, Targets]:
    """Set one input."""
    if name.endswith("_ms"):
        return LOAD, replace(targets, **{name: value})
    return replace(LOAD, **{name: value}), targets


def sweep(
    profile: EngineProfile, size: Size, name: str, percentile: Percentile, step: float = STEP
) -> Sweep:
    """Size along one input."""
    targets = replace(TARGETS, percentile=percentile)
    answers = [size(profile, *at(name, value, targets)) for value in values(name, step)]
    return Sweep.of([a.replicas_exact for a in answers], [a.replicas for a in answers])


def prefill_by(dispatch: Dispatch) -> Size:
    """Prefill sizing with one dispatch."""
    return lambda profile, load, targets: size_prefill(profile, load, targets, dispatch)


# Every sizing and the inputs that it depends on.
SIZES: dict[str, tuple[Size, tuple[str, ...]]] = {
    **{
        f"prefill {dispatch}": (prefill_by(dispatch), ("isl", "rate_per_s", "ttft_ms"))
        for dispatch in Dispatch
    },
    "decode": (size_decode, ("isl", "osl", "rate_per_s", "itl_ms")),
    "aggregated": (size_aggregated, tuple(RANGES)),
}


def upstream_sweep(profile: ClassicProfile, name: str) -> Sweep:
    """The same along upstream's sizing, both roles together."""
    replicas = []
    for value in values(name):
        load, targets = at(name, value, TARGETS)
        window = ClassicInput(
            n=load.rate_per_s * 60,
            isl=load.isl,
            osl=load.osl,
            interval_s=60,
            ttft_ms=targets.ttft_ms,
            itl_ms=targets.itl_ms,
            max_gpu_budget=UNLIMITED,
        )
        replicas.append(sum(classic_replicas(profile, window)))
    return Sweep.of([float(number) for number in replicas], replicas)


def main() -> None:
    """Sweep everything; print JSON."""
    results: dict[str, dict[str, float]] = {
        f"{label}, {size}, {percentile}, {name}": asdict(sweep(profile, by, name, percentile))
        for label, profile in profiles().items()
        for size, (by, names) in SIZES.items()
        for percentile in (Percentile.MEAN, Percentile.P95)
        for name in names
    }
    classic = ClassicProfile.of(*reference_data())
    upstream = {name: asdict(upstream_sweep(classic, name)) for name in RANGES}
    worst = {
        key: max(result[key] for result in results.values())
        for key in ("jump", "jump_share", "broken", "rounded", "falling", "bad")
    }
    print(
        json.dumps({"bench": "continuity", "worst": worst, "sweeps": results, "upstream": upstream})
    )


if __name__ == "__main__":
    main()
