"""An SLAPlanner with a status, and a cluster that has it, for the command line."""

from dataclasses import dataclass, field
from typing import Any

from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_cli.found import Found, FoundPlanner, Listed
from support.planning import NAMESPACE, curves_config_map, sla_planner

STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "observed": {
        "time": "2026-01-01T12:00:00Z",
        "knowledge": "Value",
        "requestsPerSecond": 18.4,
        "isl": 2048,
        "osl": 128,
        "islQuantiles": [{"share": share, "isl": 2048} for share in (0.0, 1.0)],
        "oslQuantiles": [{"share": share, "osl": 128} for share in (0.0, 1.0)],
        "ttftMs": 240.0,
        "itlMs": 19.2,
        "frontends": 2,
    },
    "forecast": {
        "requestsPerSecond": 19.0,
        "plannedRequestsPerSecond": 22.5,
        "quantile": 0.9,
        "isl": 2048,
        "osl": 128,
        "model": "HoltWinters",
        "horizonSeconds": 97,
    },
    "capacity": [
        {
            "role": "prefill",
            "needed": 5.6,
            "latencyMs": 281.3,
            "binding": "ttft",
            "inRange": True,
            "correction": 1.18,
        },
        {"role": "decode", "needed": 2.7, "latencyMs": 21.4, "binding": "itl", "inRange": False},
    ],
    "startupSeconds": 82,
    "startupSource": "Measured",
    "attainment": {"ttft": 0.982, "itl": 1.0, "requests": 66240, "since": "2026-01-01T11:00:00Z"},
    "roles": [
        {
            "role": "prefill",
            "component": "prefill",
            "replicas": 6,
            "readyReplicas": 5,
            "desiredReplicas": 6,
            "gpusPerReplica": 2,
        },
        {
            "role": "decode",
            "component": "decode",
            "replicas": 4,
            "readyReplicas": 4,
            "desiredReplicas": 3,
            "gpusPerReplica": 2,
            "terminatingReplicas": 1,
            "belowSince": "2026-01-01T11:58:00Z",
        },
    ],
    "decisions": [
        {
            "time": "2026-01-01T11:57:00Z",
            "reason": "ScaledUp",
            "message": "Scaled prefill from 5 to 6: 22.5 requests/s of ISL 2048 need 4.3 busy"
            " replicas for TTFT p95 <= 300 ms (6 would have 281 ms, bound by ttft)",
            "prefill": {"from": 5, "to": 6},
        }
    ],
    "conditions": [
        {
            "type": "Ready",
            "status": "True",
            "reason": "Planning",
            "message": "decides every 15 s",
            "lastTransitionTime": "2026-01-01T10:00:00Z",
        },
        {
            "type": "ScalingLimited",
            "status": "True",
            "reason": "LimitedByBudget",
            "message": "prefill needs 7 replicas, the budget allows 6",
            "lastTransitionTime": "2026-01-01T11:00:00Z",
        },
        {
            "type": "SLAReachable",
            "status": "Unknown",
            "reason": "NoTraffic",
            "message": "no request was seen yet",
            "lastTransitionTime": "2026-01-01T10:00:00Z",
        },
    ],
}


def planner(status: dict[str, Any] | None = None, **spec: Any) -> SLAPlanner:
    """A planner with this status; keywords replace fields of its spec."""
    return SLAPlanner.parse(sla_planner(**spec) | {"status": STATUS if status is None else status})


def found(
    status: dict[str, Any] | None = None,
    *,
    curves: bool = True,
    shared: dict[str, Any] | None = None,
    **spec: Any,
) -> FoundPlanner:
    """The same as a cluster shows it."""
    data = curves_config_map()["data"] if curves else None
    return FoundPlanner(
        planner=planner(status, **spec),
        curves=data,
        budget=GPUBudget.parse(shared) if shared else None,
    )


def gpu_budget(gpus: int = 20) -> dict[str, Any]:
    """Three members: q-dgd holds 12 and wants 20, r-dgd comes first, s-dgd never said anything."""

    def holding(name: str, reserved: int, wanted: int, gain: float) -> dict[str, Any]:
        steps = [{"gpus": 2, "gain": gain}] * ((wanted - 4) // 2)
        return {"planner": name, "reservedGpus": reserved, "floorGpus": 4, "steps": steps}

    return {
        "apiVersion": "dgdr.dev/v1alpha1",
        "kind": "GPUBudget",
        "metadata": {"name": "team", "namespace": NAMESPACE},
        "spec": {
            "gpus": gpus,
            "members": [
                {"planner": "q-dgd"},
                {"planner": "r-dgd", "priority": 10},
                {"planner": "s-dgd", "minGpus": 2},
            ],
        },
        "status": {"holdings": [holding("q-dgd", 12, 20, 0.4), holding("r-dgd", 6, 8, 0.1)]},
    }


@dataclass
class FakeSource:
    """A cluster that has one planner, or none."""

    planner: FoundPlanner | None = None
    asked: list[tuple[str, str | None]] = field(default_factory=list)

    def find(self, name: str, namespace: str | None) -> Found | None:
        return None

    def list_requests(self, namespace: str | None) -> tuple[Listed, ...]:
        return ()

    def find_planner(self, name: str, namespace: str | None) -> FoundPlanner | None:
        self.asked.append((name, namespace))
        return self.planner


__all__ = ["NAMESPACE", "STATUS", "FakeSource", "found", "gpu_budget", "planner"]


def member(name: str, budget: str = "team") -> dict[str, Any]:
    """An SLAPlanner that takes from a GPUBudget, for a deployment of its own name."""
    made = sla_planner()
    made["metadata"] = {"name": name, "namespace": NAMESPACE}
    made["spec"] |= {
        "budget": {"ref": budget},
        "targetRef": {**made["spec"]["targetRef"], "name": name},
    }
    return made
