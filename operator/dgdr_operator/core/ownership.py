"""Whether another operator reconciles the same object; then nobody of us writes to it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from dgdr_api.conditions import condition, find, with_condition
from dgdr_api.models.base import Conditions
from dgdr_api.names import NAMESPACE_SCOPE_LEASE, NVIDIA_GROUP
from dgdr_kube.kinds import DGD

Json = Mapping[str, Any]

OWNERSHIP_CONFLICT = "OwnershipConflict"


def second_owner(deployments: Iterable[Json]) -> str | None:
    """Say whose Deployments there are of a graph that are not the graph's own.

    NVIDIA's operator puts a DynamoComponentDeployment between the two. Those of an earlier graph of
    the same name, which are about to go, are owned by a graph.
    """
    for deployment in deployments:
        owners = deployment["metadata"].get("ownerReferences") or ()
        owner = next((one for one in owners if one.get("controller")), None)
        if owner is None or owner.get("kind") == DGD.kind:
            continue
        if str(owner.get("apiVersion", "")).startswith(f"{NVIDIA_GROUP}/"):
            return (
                f"Deployment {deployment['metadata']['name']} is controlled by {owner['kind']} "
                f"{owner['name']}, so NVIDIA's operator reconciles this object, too; nothing is "
                "written until that is gone: delete it where its operator has left the namespace, "
                "else set this one's chart value mode to Beside"
            )
    return None


def holder_of(lease: Json | None, now: datetime) -> str | None:
    """Return who holds a namespace; None where nobody does, as NVIDIA's operators count it."""
    spec = (lease or {}).get("spec") or {}
    renewed, lasts_s = spec.get("renewTime"), spec.get("leaseDurationSeconds")
    if not renewed or not lasts_s:
        return None
    if datetime.fromisoformat(renewed) + timedelta(seconds=lasts_s) < now:
        return None
    return str(spec.get("holderIdentity") or "somebody without a name")


def held_by(namespace: str, holder: str) -> str:
    """Say why nothing of a namespace is ours."""
    return (
        f"Lease {NAMESPACE_SCOPE_LEASE} of namespace {namespace} is held by {holder}: an operator "
        "of NVIDIA's that is restricted to this namespace reconciles its objects; nothing is "
        "written until the Lease has run out"
    )


def not_held(namespace: str) -> str:
    """Say why nothing is done in a namespace that is to be taken over."""
    return (
        f"Lease {NAMESPACE_SCOPE_LEASE} of namespace {namespace} cannot be renewed, so NVIDIA's "
        "operator reconciles its objects; this operator's log says why, such as a right that is "
        "missing"
    )


def with_ownership(
    conditions: Conditions, why: str | None, now: datetime, generation: int
) -> Conditions:
    """Return the conditions with that of ownership; nothing is said where nothing ever was."""
    if why is None and find(conditions, OWNERSHIP_CONFLICT) is None:
        return conditions
    reason = "SoleOwner" if why is None else "SecondOwner"
    text = why or "no other operator is seen to reconcile this object"
    new = condition(OWNERSHIP_CONFLICT, why is not None, reason, text, now, generation)
    return with_condition(conditions, new, now)
