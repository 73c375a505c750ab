"""A stand-in for LeaderWorkerSet: a CRD with the fields that we write, and no controller.

It is not the real one (https://lws.sigs.k8s.io): what a field means, and what becomes of pods, is
not tried with it; only that an API server takes what we apply, and gives it back.
"""

from typing import Any

from dgdr_kube.kinds import LEADER_WORKER_SET

_TEMPLATE = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_NUMBER = {"type": "integer", "format": "int32"}
_TEXT = {"type": "string"}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema | ({"required": [*required]} if required else {})


SCHEMA = _object(
    apiVersion=_TEXT,
    kind=_TEXT,
    metadata={"type": "object"},
    spec=_object(
        ("leaderWorkerTemplate",),
        replicas=_NUMBER | {"default": 1, "minimum": 0},
        startupPolicy=_TEXT
        | {"default": "LeaderCreated", "enum": ["LeaderCreated", "LeaderReady"]},
        rolloutStrategy=_object(
            type=_TEXT | {"enum": ["RollingUpdate"]},
            rollingUpdateConfiguration=_object(
                maxSurge={"x-kubernetes-int-or-string": True},
                maxUnavailable={"x-kubernetes-int-or-string": True},
                partition=_NUMBER | {"default": 0},
            ),
        ),
        leaderWorkerTemplate=_object(
            ("workerTemplate",),
            size=_NUMBER | {"default": 1, "minimum": 1},
            restartPolicy=_TEXT | {"enum": ["RecreateGroupOnPodRestart", "None", "Default"]},
            leaderTemplate=_TEMPLATE,
            workerTemplate=_TEMPLATE,
        ),
    ),
    status=_object(
        replicas=_NUMBER,
        readyReplicas=_NUMBER,
        updatedReplicas=_NUMBER,
        conditions={"type": "array", "items": _TEMPLATE},
    ),
)


def stand_in() -> dict[str, Any]:
    """Return the CRD, as an API server shows it that serves it."""
    kind = LEADER_WORKER_SET
    names = {"plural": kind.plural, "kind": kind.kind, "singular": "leaderworkerset"}
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
            },
        },
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{kind.group}",
            # The group is the community's: an API server asks for this.
            "annotations": {"api-approved.kubernetes.io": "unapproved, a stand-in for tests"},
        },
        "spec": {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]},
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    }
