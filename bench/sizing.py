"""One planning decision's arithmetic against the interpolation that upstream's planner builds.

Upstream grids its decode points once at start (``griddata``, 100 x 100, twice); we fit once and
size at every tick. The ratio says how many of our sizings fit into one such start.
"""

import json

import numpy as np
from scipy.interpolate import griddata

from bench.timing import best_s
from dgdr_api.profile_data import DecodeData, PrefillData
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import Targets, Workload, size_decode, size_prefill

MAX_KV_TOKENS = 945_029


def example_data() -> tuple[PrefillData, DecodeData]:
    """Curves of the fit to Llama-3.1-8B-FP8 on one H200, at 17 and 36 points."""
    isl = np.linspace(100, 16_372, 17)
    ttft = 18.55 + 0.014110 * isl + 4.919e-7 * isl**2
    kv = np.repeat(np.linspace(0.02, 0.9, 6), 6)
    context = np.tile(np.linspace(350, 16_000, 6), 6)
    batch = kv * MAX_KV_TOKENS / context
    itl = 4.452 + 0.022245 * batch + 3.160e-5 * kv * MAX_KV_TOKENS
    prefill = PrefillData(
        isl=tuple(isl), ttft_ms=tuple(ttft), thpt_per_gpu=tuple(1000 * isl / ttft)
    )
    decode = DecodeData(
        kv_usage=tuple(kv),
        context_length=tuple(context),
        itl_ms=tuple(itl),
        thpt_per_gpu=tuple(1000 * batch / itl),
        max_kv_tokens=MAX_KV_TOKENS,
    )
    return prefill, decode


def main() -> None:
    """Time fit, sizing and upstream's gridding; print JSON."""
    prefill, decode = example_data()
    profile = EngineProfile.of(prefill, decode)
    load = Workload(rate_per_s=40.0, isl=3000.0, osl=300.0)
    targets = Targets(ttft_ms=200.0, itl_ms=15.0)
    points = np.column_stack([decode.kv_usage, decode.context_length])
    grid = np.meshgrid(np.linspace(0, 1, 100), np.linspace(0, 16_000, 100))

    def size() -> None:
        size_prefill(profile, load, targets)
        size_decode(profile, load, targets)

    def upstream_grid() -> None:
        for values in (decode.itl_ms, decode.thpt_per_gpu):
            griddata(points, np.asarray(values), tuple(grid), method="cubic")

    fit_s = best_s(lambda: EngineProfile.of(prefill, decode))
    size_s, grid_s = best_s(size), best_s(upstream_grid)
    print(
        json.dumps(
            {
                "bench": "sizing",
                "sizing_ms": round(1000 * size_s, 3),
                "fit_ms": round(1000 * fit_s, 3),
                "upstream_grid_ms": round(1000 * grid_s, 3),
                "sizings_per_upstream_grid": round(grid_s / size_s, 1),
                "fits_per_upstream_grid": round(grid_s / fit_s, 1),
            }
        )
    )


if __name__ == "__main__":
    main()
