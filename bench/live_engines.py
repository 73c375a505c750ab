"""How near the mocked engines of ``bench.live_planner`` are to the data that they stand for."""

from collections.abc import Sequence

import numpy as np

from hack.demo.kube import Kube
from hack.mocker_profiles import itl_ms, ttft_ms

# All simulated times are eight times as long, as examples/demo/policy.yaml says.
SLOWED = 8.0
Request = tuple[str, float, float | None, float | None]


def gpus_per_engine(kube: Kube, dgd: str, namespace: str) -> dict[str, int]:
    """GPUs of an engine of each role."""
    found = kube.get("dgd", dgd, namespace) or {}
    told = found["status"]["components"]
    return {role: int(told[role]["gpusPerReplica"]) for role in ("prefill", "decode")}


def itl_error(
    requests: Sequence[Request], decode_replicas: float, gpus: int, rate_per_s: float,
    isl: float, osl: float,
) -> float:  # fmt: skip
    """How far ITL was above the data at the mean batch, which follows by Little's law."""
    seen_ms = float(np.mean([one[3] for one in requests if one[3] is not None]))
    batch = max(rate_per_s * osl * seen_ms / 1000.0 / max(decode_replicas, 1.0), 1.0)
    return seen_ms / (SLOWED * itl_ms(gpus, batch, batch * (isl + osl / 2))) - 1.0


def ttft_error(requests: Sequence[Request], gpus: int, isl: float) -> float:
    """How far TTFT of prompts that met no other was above the data: of the quickest tenth."""
    quickest_ms = float(np.quantile([one[2] for one in requests if one[2] is not None], 0.1))
    return quickest_ms / (SLOWED * ttft_ms(gpus, isl)) - 1.0
