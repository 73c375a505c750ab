"""CustomResourceDefinitions as the API server shows them."""

from dgdr_kube.crd_check import crd_name
from dgdr_kube.kinds import DGD, DGDSA, SLA_PLANNER, WORKER_METADATA, Kind
from dgdr_kube.ports import Manifest


def crd(kind: Kind, *, ours: bool = True) -> Manifest:
    labels = {"app.kubernetes.io/part-of": "dgdr-operator"} if ours else {}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": crd_name(kind), "labels": labels},
        "spec": {"versions": [{"name": kind.version, "served": True}]},
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    }


def installed() -> list[Manifest]:
    """What the chart installs, as far as a pass looks at it."""
    return [crd(kind) for kind in (DGD, DGDSA, WORKER_METADATA, SLA_PLANNER)]
