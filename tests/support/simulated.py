"""Engines and short runs for tests of the simulator."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dgdr_api.graph import Role
from dgdr_perf.simulator.arrivals import Requests
from dgdr_perf.simulator.engine import Engine
from dgdr_perf.simulator.options import Options
from dgdr_perf.simulator.outcome import Outcome
from dgdr_perf.simulator.run import Plan, simulate

# Fit to Llama-3.1-8B-FP8 on one H200.
H200_TTFT = (18.55, 0.01411, 4.919e-7)
H200_ITL = (4.452, 0.022245, 3.16e-5)
H200_KV_TOKENS = 945_029


def h200(**changes: Any) -> Engine:
    return Engine.physical(H200_TTFT, H200_ITL, H200_KV_TOKENS, **changes)


def constant(prefill_ms: float = 60.46, step_ms: float = 10.0, **changes: Any) -> Engine:
    """An engine whose times depend on nothing."""
    settings = {"max_kv_tokens": 1e12} | changes
    return Engine.physical((prefill_ms, 0, 0), (step_ms, 0, 0), **settings)


def run(
    engine: Engine,
    requests: Requests,
    initial: Mapping[Role, int],
    *,
    plan: Plan | None = None,
    seed: int = 0,
    **options: Any,
) -> Outcome:
    return simulate(
        engine,
        requests,
        initial,
        rng=np.random.default_rng(seed),
        plan=plan,
        options=Options(**options),
    )
