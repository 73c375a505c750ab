"""How many replicas the generated deployment starts with."""

import math
from dataclasses import dataclass

from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.targets import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """Replicas of each role."""

    prefill: int = 1
    decode: int = 1


def replicas(chosen: Selection, workload: Workload) -> Replicas:
    """Return the replicas that keep up with the workload; one each when it names no load.

    A concurrency becomes a rate by Little's law, at the latencies that were measured.
    """
    rate_per_s = workload.request_rate_per_s
    if rate_per_s is None and workload.concurrency is not None:
        answer_ms = chosen.prefill.ttft_ms + chosen.decode.itl_ms * workload.osl
        rate_per_s = 1000 * workload.concurrency / answer_ms
    if rate_per_s is None:
        return Replicas()
    prefill, decode = chosen.prefill, chosen.decode
    return Replicas(
        prefill=_enough(
            rate_per_s * workload.isl, prefill.tokens_per_s_per_gpu * prefill.candidate.engine_gpus
        ),
        decode=_enough(
            rate_per_s * workload.osl, decode.tokens_per_s_per_gpu * decode.candidate.engine_gpus
        ),
    )


def _enough(tokens_per_s: float, one_serves: float) -> int:
    return max(1, math.ceil(tokens_per_s / one_serves))
