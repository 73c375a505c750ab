"""Reads what a profiling run left behind, and compares it with the data that its mockers had."""

import base64
import io
import json
import re
import statistics
from dataclasses import dataclass

import numpy as np

from dgdr_api import names
from dgdr_api.points import Point, PointKind
from hack.demo.kube import Kube, Manifest
from hack.mocker_profiles import itl_ms, ttft_ms

SPEEDUP_RATIO = 0.125
"""As in examples/demo/policy.yaml: all simulated times are eight times as long."""
TRANSFER_GB_PER_S = 2
"""As there; the speed-up leaves it as it is."""
KV_BYTES_PER_TOKEN = 131_072
"""Of the images' model."""


def points_of(kube: Kube, dgdr: str, namespace: str) -> list[Point]:
    """Return every point on record."""
    found: list[Point] = []
    prefix = names.points_config_map(dgdr, 0)[:-1]
    for config_map in kube.list("configmaps", namespace):
        if re.fullmatch(re.escape(prefix) + r"\d+", config_map["metadata"]["name"]):
            found += [Point.from_text(text) for text in config_map.get("data", {}).values()]
    return found


def output_of(kube: Kube, dgdr: str, namespace: str) -> Manifest:
    """Return the output ConfigMap."""
    found = kube.get("configmap", names.output_config_map(dgdr), namespace)
    assert found is not None
    return found


def arrays(output: Manifest, key: str) -> dict[str, np.ndarray]:
    """Load one NPZ of the output as a planner does."""
    with np.load(io.BytesIO(base64.b64decode(output["binaryData"][key]))) as data:
        return {name: data[name] for name in data.files}


def tensor_parallel(candidate: str) -> int:
    """Read the size out of a candidate's name, such as ``p-tp2``."""
    found = re.search(r"tp(\d+)", candidate)
    assert found, candidate
    return int(found.group(1))


def transfer_ms(isl: float, gb_per_s: float = TRANSFER_GB_PER_S) -> float:
    """Time that mockers take to send a prompt's KV cache."""
    return 1000 * isl * KV_BYTES_PER_TOKEN / (gb_per_s * 1e9)


def told_ttft_ms(tp: int, isl: float) -> float:
    """Time to first token of a pair: prompt, transfer and, since 1.1, the first decode step."""
    return (ttft_ms(tp, isl) + itl_ms(tp, 1, isl)) / SPEEDUP_RATIO + transfer_ms(isl)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Relative errors of a run's points against the mockers' data."""

    ttft: dict[str, list[float]]
    itl: dict[str, list[float]]

    def medians(self) -> dict[str, float]:
        """Median of the absolute relative errors, by candidate and figure."""
        return {
            f"{figure} {candidate}": round(statistics.median(abs(e) for e in errors), 4)
            for figure, by_candidate in (("ttft", self.ttft), ("itl", self.itl))
            for candidate, errors in by_candidate.items()
        }


def truth_of(points: list[Point]) -> Truth:
    """Compare TTFT at ISL >= 512, and every ITL, with what the mocker was told."""
    ttft: dict[str, list[float]] = {}
    itl: dict[str, list[float]] = {}
    for point in points:
        tp = tensor_parallel(point.candidate)
        if point.kind is PointKind.PREFILL and point.isl >= 512:
            assert point.ttft_ms is not None
            told = told_ttft_ms(tp, point.isl)
            ttft.setdefault(point.candidate, []).append(point.ttft_ms / told - 1)
        if point.kind is PointKind.DECODE:
            assert point.itl_ms is not None
            assert point.effective_concurrency is not None
            batch = point.effective_concurrency
            told = itl_ms(tp, batch, batch * (point.isl + point.osl / 2)) / SPEEDUP_RATIO
            itl.setdefault(point.candidate, []).append(point.itl_ms / told - 1)
    return Truth(ttft=ttft, itl=itl)


def seconds_of(points: list[Point]) -> dict[str, dict[str, float]]:
    """Return how many points each candidate has, and their mean wall time."""
    by_candidate: dict[str, list[float]] = {}
    for point in points:
        by_candidate.setdefault(point.candidate, []).append(point.wall_s)
    return {
        candidate: {"points": len(walls), "mean_s": round(statistics.mean(walls), 1)}
        for candidate, walls in by_candidate.items()
    }


def report_of(output: Manifest) -> Manifest:
    """Return the run's own report."""
    report: Manifest = json.loads(output["data"]["report.json"])
    return report
