"""A stand-in for LeaderWorkerSet: a CRD with the fields that we write, and its controller's words.

It is not the real one (https://lws.sigs.k8s.io), and no pods come of it; decision 0050 says what
was tried with that. Defaults, limits and reports are those of release 0.10.0.
"""

from typing import Any

from dgdr_kube.kinds import LEADER_WORKER_SET

_ANY = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_NUMBER = {"type": "integer", "format": "int32"}
_TEXT = {"type": "string"}
_TEXTS = {"type": "object", "additionalProperties": _TEXT}


def _object(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return schema | ({"required": [*required]} if required else {})


def _amount(default: int) -> dict[str, Any]:
    return {"x-kubernetes-int-or-string": True, "default": default}


# Of a template's metadata the rest is dropped.
_METADATA = _object(
    name=_TEXT,
    namespace=_TEXT,
    labels=_TEXTS,
    annotations=_TEXTS,
    finalizers={"type": "array", "items": _TEXT},
)
_TEMPLATE = _object(metadata=_METADATA, spec=_ANY)
_RESTART_POLICIES = ("Default", "RecreateGroupOnPodRestart", "RecreateGroupAfterStart", "None")

SCHEMA = _object(
    apiVersion=_TEXT,
    kind=_TEXT,
    metadata={"type": "object"},
    spec=_object(
        ("leaderWorkerTemplate",),
        replicas=_NUMBER | {"default": 1, "minimum": 0, "maximum": 1_000_000},
        startupPolicy=_TEXT
        | {"default": "LeaderCreated", "enum": ["LeaderCreated", "LeaderReady"]},
        networkConfig=_object(
            ("subdomainPolicy",),
            subdomainPolicy=_TEXT | {"enum": ["Shared", "UniquePerReplica"]},
        ),
        rolloutStrategy=_object(
            ("type",),
            type=_TEXT | {"default": "RollingUpdate", "enum": ["RollingUpdate"]},
            rollingUpdateConfiguration=_object(
                maxSurge=_amount(0),
                maxUnavailable=_amount(1),
                partition=_NUMBER | {"default": 0},
            ),
        ),
        leaderWorkerTemplate=_object(
            ("workerTemplate",),
            size=_NUMBER | {"default": 1},
            restartPolicy=_TEXT
            | {"default": "RecreateGroupOnPodRestart", "enum": [*_RESTART_POLICIES]},
            leaderTemplate=_TEMPLATE,
            workerTemplate=_TEMPLATE,
        ),
    ),
    status=_object(
        replicas=_NUMBER,
        readyReplicas=_NUMBER,
        updatedReplicas=_NUMBER,
        observedGeneration={"type": "integer", "format": "int64"},
        hpaPodSelector=_TEXT,
        conditions={"type": "array", "items": _ANY},
    ),
)


def report(
    replicas: int, updated: int, ready: int, *, rolls: bool = False, generation: int | None = None
) -> dict[str, Any]:
    """Return a status as its controller writes it, which leaves out what is 0.

    Release 0.7.0 tells of no generation. ``rolls``: an edit of the template replaces groups.
    """
    counts = {
        "observedGeneration": generation or 0,
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": ready,
    }
    is_done = not rolls and replicas == ready
    states = {"Progressing": not is_done, "Available": is_done, "UpdateInProgress": rolls}
    conditions = [{"type": type_, "status": str(is_so)} for type_, is_so in states.items()]
    return {key: count for key, count in counts.items() if count} | {"conditions": conditions}


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
                "labelSelectorPath": ".status.hpaPodSelector",
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
