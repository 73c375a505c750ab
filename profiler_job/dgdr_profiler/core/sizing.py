"""How many replicas the generated deployment starts with."""

import math
from dataclasses import dataclass

from dgdr_profiler.core.pick import Selection
from dgdr_profiler.core.targets import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """Replicas of each role. ``shortage`` says what the load would need, when GPUs do not do."""

    prefill: int = 1
    decode: int = 1
    shortage: str | None = None


def replicas(chosen: Selection, workload: Workload, total_gpus: int | None) -> Replicas:
    """Return the replicas that keep up with the workload; one each when it names no load.

    Never more GPUs than there are: the role with more than its share then gives way, so that both
    roles stay in step.
    """
    rate_per_s = _rate_per_s(chosen, workload)
    if rate_per_s is None:
        return Replicas()
    prefill = _needed(rate_per_s * workload.isl, chosen.prefill.tokens_per_s)
    decode = _needed(rate_per_s * workload.osl, chosen.decode.tokens_per_s)
    wanted = Replicas(prefill=math.ceil(prefill), decode=math.ceil(decode))
    needs = _gpus(chosen, wanted)
    if total_gpus is None or needs <= total_gpus:
        return wanted
    shortage = (
        f"the load needs {wanted.prefill} prefill and {wanted.decode} decode replicas with "
        f"{needs} GPUs, but there are {total_gpus}"
    )
    return _within(chosen, prefill, decode, total_gpus, shortage)


def _rate_per_s(chosen: Selection, workload: Workload) -> float | None:
    """Return the load as a rate; a concurrency becomes one by Little's law."""
    if workload.request_rate_per_s is not None or workload.concurrency is None:
        return workload.request_rate_per_s
    answer_ms = chosen.prefill.ttft_ms + chosen.decode.itl_ms * (workload.osl - 1)
    return 1000 * workload.concurrency / answer_ms


def _within(
    chosen: Selection, prefill: float, decode: float, total_gpus: int, shortage: str
) -> Replicas:
    """Add replicas one by one, always to the role that is further behind, while GPUs last."""
    now = Replicas(shortage=shortage)
    while True:
        behind = now.prefill / prefill <= now.decode / decode
        more = Replicas(
            prefill=now.prefill + behind, decode=now.decode + (not behind), shortage=shortage
        )
        if _gpus(chosen, more) > total_gpus:
            return now
        now = more


def _gpus(chosen: Selection, of: Replicas) -> int:
    prefill, decode = chosen.prefill.candidate, chosen.decode.candidate
    return of.prefill * prefill.engine_gpus + of.decode * decode.engine_gpus


def _needed(tokens_per_s: float, one_serves: float) -> float:
    return max(1.0, tokens_per_s / one_serves)
