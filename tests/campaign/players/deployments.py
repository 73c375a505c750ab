"""Deployments and their pods, as the controllers and the kubelet of a cluster keep them."""

import hashlib
import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from dgdr_kube.kinds import DEPLOYMENT, POD
from dgdr_kube.manifests import is_going, is_owned_by
from dgdr_kube.ports import Manifest
from support.fake_cluster import FakeCluster

START_S = 4.0
"""From a pod's creation until it is ready."""
END_S = 6.0
"""From a pod's deletion until it is gone."""
_HASH = "pod-template-hash"

Sick = Callable[[Manifest], Manifest | None]
"""Returns the status of a pod that is not well; None for one that comes up as it should."""


def _well(_: Manifest) -> Manifest | None:
    return None


class Deployments:
    """Makes and removes pods, lets them start and end, and reports."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._made = 0
        self.sick: Sick = _well
        self.lost: set[str] = set()
        """Pods on nodes that are lost: their end never comes by itself."""

    def step(self, now: datetime) -> float | None:
        """Do what is due; returns the seconds until something else is."""
        due = [self._age(pod, now) for pod in self._cluster.of(POD)]
        for deployment in [*self._cluster.of(DEPLOYMENT)]:
            if not is_going(deployment):
                self._reconcile(deployment, now)
        return min((s for s in due if s is not None), default=None)

    def _age(self, pod: Manifest, now: datetime) -> float | None:
        meta = pod["metadata"]
        where = POD, meta["namespace"], meta["name"]
        if is_going(pod):
            left_s = END_S - _since_s(meta["deletionTimestamp"], now)
            if left_s <= 0 and meta["name"] not in self.lost:
                self._cluster.vanish(*where)
            return left_s if left_s > 0 else None
        if not is_of_deployment(pod):
            return None
        left_s = START_S - _since_s(meta["creationTimestamp"], now)
        status = self.sick(pod) or (ready_status() if left_s <= 0 else starting_status())
        if pod.get("status") != status:
            self._cluster.set_status(*where, status)
        return left_s if left_s > 0 else None

    def _reconcile(self, deployment: Manifest, now: datetime) -> None:
        meta, spec = deployment["metadata"], deployment["spec"]
        pods = [p for p in self._cluster.of(POD) if is_owned_by(p, meta["uid"])]
        standing = [p for p in pods if not is_going(p)]
        wanted = hash_of(spec["template"])
        new = [p for p in standing if p["metadata"]["labels"].get(_HASH) == wanted]
        old = [p for p in standing if p not in new]
        ready = [p for p in new if _is_ready(p)]
        most = spec["replicas"] + (1 if old else 0)
        for _ in range(min(spec["replicas"] - len(new), most - len(standing))):
            self._make(deployment, wanted, now)
        surplus = [*old[: len(ready)], *(new[spec["replicas"] :] if not old else ())]
        for pod in surplus:
            self._cluster.drop(POD, meta["namespace"], pod["metadata"]["name"])
        self._report(deployment, wanted)

    def _make(self, deployment: Manifest, wanted: str, now: datetime) -> None:
        meta, template = deployment["metadata"], deployment["spec"]["template"]
        self._made += 1
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "controller": True}
        labels = {**((template.get("metadata") or {}).get("labels") or {}), _HASH: wanted}
        self._cluster.seed(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{meta['name'][:40]}-{self._made}",
                    "namespace": meta["namespace"],
                    "labels": labels,
                    "creationTimestamp": _stamp(now),
                    "ownerReferences": [{**owner, "name": meta["name"], "uid": meta["uid"]}],
                },
                "spec": template["spec"],
                "status": starting_status(),
            }
        )

    def _report(self, deployment: Manifest, wanted: str) -> None:
        meta = deployment["metadata"]
        pods = [
            p
            for p in self._cluster.of(POD)
            if is_owned_by(p, meta["uid"]) and not is_going(p) and not _is_over(p)
        ]
        ready = sum(map(_is_ready, pods))
        status: dict[str, Any] = {
            "observedGeneration": meta["generation"],
            "replicas": len(pods),
            "updatedReplicas": sum(p["metadata"]["labels"].get(_HASH) == wanted for p in pods),
            "readyReplicas": ready,
            "availableReplicas": ready,
        }
        if deployment.get("status") != status:
            self._cluster.set_status(DEPLOYMENT, meta["namespace"], meta["name"], status)


def hash_of(template: Manifest) -> str:
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:8]


def is_of_deployment(pod: Manifest) -> bool:
    owners = pod["metadata"].get("ownerReferences") or ()
    return any(owner["kind"] == "Deployment" for owner in owners)


def ready_status() -> Manifest:
    return {
        "phase": "Running",
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": "True"},
        ],
        "containerStatuses": [{"name": "main", "ready": True, "state": {"running": {}}}],
    }


def starting_status() -> Manifest:
    return {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [
            {"name": "main", "ready": False, "state": {"waiting": {"reason": "ContainerCreating"}}}
        ],
    }


def _is_ready(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _is_over(pod: Manifest) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _since_s(stamp: str, now: datetime) -> float:
    return (now - datetime.fromisoformat(stamp)) / timedelta(seconds=1)


def _stamp(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")
