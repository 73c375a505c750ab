"""What a planner did, read from its status and the DGD through kubectl alone."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from hack.demo.kube import Kube, Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """Replicas of the two roles."""

    prefill: int
    decode: int

    @property
    def total(self) -> int:
        """Both roles together."""
        return self.prefill + self.decode

    def __str__(self) -> str:
        return f"{self.prefill} prefill, {self.decode} decode"


def desired(dgd: Manifest) -> Replicas:
    """Replicas that the DGD asks for."""
    by_type = {c["type"]: c.get("replicas", 1) for c in dgd["spec"]["components"]}
    return Replicas(prefill=by_type["prefill"], decode=by_type["decode"])


def ready(kube: Kube, dgd: str, namespace: str) -> Replicas:
    """Replicas whose pods are Ready."""
    count = {"prefill": 0, "decode": 0}
    for role in count:
        selector = (
            f"nvidia.com/dynamo-graph-deployment-name={dgd},nvidia.com/dynamo-component-type={role}"
        )
        for pod in kube.list("pods", namespace, selector):
            conditions = pod.get("status", {}).get("conditions", [])
            alive = "deletionTimestamp" not in pod["metadata"]
            count[role] += alive and any(
                c["type"] == "Ready" and c["status"] == "True" for c in conditions
            )
    return Replicas(**count)


def shrink_soon(kube: Kube, name: str, namespace: str) -> None:
    """Let the planner forget a load after 30 s, so that one can watch it scale down under load.

    By default it plans for nine tenths of what it has seen, and so holds what a peak needed.
    """
    patch = {
        "spec": {
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 30}},
            "forecast": {"model": "LastValue", "quantile": 0.5},
        }
    }
    kube.run(
        "patch", "slap", name, "--namespace", namespace, "--type=merge",
        "--patch", json.dumps(patch),
    )  # fmt: skip


def decisions(kube: Kube, name: str, namespace: str) -> list[Manifest]:
    """The planner's latest decisions, newest last."""
    found = kube.get("slap", name, namespace) or {}
    listed: list[Manifest] = found.get("status", {}).get("decisions", [])
    return sorted(listed, key=lambda d: d["time"])


def scaled(
    kube: Kube, dgd: str, namespace: str, wanted: Callable[[Replicas], bool]
) -> Callable[[], Replicas | None]:
    """Return a probe that yields the Ready replicas once they are what is wanted and asked for."""

    def probe() -> Replicas | None:
        found = kube.get("dgd", dgd, namespace)
        if found is None or not wanted(desired(found)):
            return None
        now = ready(kube, dgd, namespace)
        return now if now == desired(found) else None

    return probe
