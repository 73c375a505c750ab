"""Whole runs of the profiler, with an engine whose times are known in place of a cluster."""

from collections.abc import Mapping
from typing import Any

from dgdr_api.request import ProfilingRequest
from dgdr_profiler.ports import Result
from dgdr_profiler.prepare import Prepared, prepare
from dgdr_profiler.report.result import result
from dgdr_profiler.run import Run
from support.profiler_ports import FakeDeployments, FakeLoad, MemoryRecords

GRAPHS = ("q-p-tp1", "q-p-tp2", "q-p-tp4")
PROFILES = dict.fromkeys(("tp-1.npz", "tp-2.npz", "tp-4.npz"), "digest")


def request(spec: dict[str, Any] | None = None, **policy: Any) -> ProfilingRequest:
    return ProfilingRequest.model_validate(
        {
            "dgdrName": "q",
            "namespace": "ns",
            "uid": "uid-1",
            "spec": {
                "model": "Qwen/Qwen3-8B",
                "backend": "vllm",
                "workload": {"isl": 2048, "osl": 96},
                "sla": {"ttft": 300, "itl": 24},
                "features": {"mocker": {"enabled": True}, "planner": {"max_gpu_budget": 16}},
                **(spec or {}),
            },
            "policy": {"candidateEngine": "mocker", "maxGpusPerEngine": 4, **policy},
            "hardware": {"gpuSku": "NVIDIA-H200", "gpusPerNode": 8, "totalGpus": 16},
            "images": {"dynamoMocker": "images.test/mocker:dev"},
            "ownerReference": {
                "apiVersion": "nvidia.com/v1beta1",
                "kind": "DynamoGraphDeploymentRequest",
                "name": "q",
                "uid": "uid-1",
            },
        }
    )


def run_of(prepared: Prepared, **parts: Any) -> Run:
    return Run(
        plan=prepared.plan,
        graphs=dict(prepared.graphs),
        model=prepared.model,
        deployments=parts.get("deployments", FakeDeployments()),
        load=parts.get("load", FakeLoad()),
        records=parts.get("records", MemoryRecords()),
    )


async def finished(
    of: ProfilingRequest | None = None, profiles: Mapping[str, str] = PROFILES, **parts: Any
) -> Result:
    asked = of or request()
    prepared = prepare(asked, profiles)
    run = run_of(prepared, **parts)
    chosen = await run.measure_all()
    return result(asked, prepared.setting, prepared.plan, run.state, chosen, run.ledger())
