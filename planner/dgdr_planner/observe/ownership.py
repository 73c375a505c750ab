"""SLAPlanners beside each other: who scales a deployment, and who takes from a budget."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dgdr_api.models.sla_planner import PlannerMode


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerSeen:
    """What other planners must know of one. ``created`` is its time as Kubernetes writes it."""

    name: str
    target: str
    created: str = ""
    active: bool = True
    suspended: bool = False
    budget: str | None = None

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "PlannerSeen":
        """Read a manifest, of whatever age."""
        meta, spec = manifest["metadata"], manifest.get("spec") or {}
        return cls(
            name=meta["name"],
            target=(spec.get("targetRef") or {}).get("name") or "",
            created=meta.get("creationTimestamp") or "",
            active=spec.get("mode") != PlannerMode.SHADOW,
            suspended=bool(spec.get("suspend")),
            budget=(spec.get("budget") or {}).get("ref"),
        )


def owner_of(target: str, planners: Iterable[PlannerSeen]) -> PlannerSeen | None:
    """Return the planner that scales a deployment: the oldest, then the first by name.

    Shadows write nothing, so they neither own nor disturb. A suspended planner still owns: it
    was told to leave the replicas as they are.
    """
    rivals = [one for one in planners if one.target == target and one.active]
    return min(rivals, key=lambda one: (one.created, one.name), default=None)


def conflict_with(owner: PlannerSeen, target: str) -> str:
    """Say why another planner leaves a deployment alone, and what ends that."""
    if owner.suspended:
        return (
            f"SLAPlanner {owner.name} is older and suspended: it keeps the replicas of {target} as "
            f"they are; delete {owner.name}, or give it mode Shadow, to let this one scale"
        )
    return f"SLAPlanner {owner.name} is older and scales {target}; delete one of the two"


def conflict_with_nvidias(component: str, target: str) -> str:
    """Say why a deployment with a planner of NVIDIA's is left to that, and what ends it."""
    return (
        f"component {component} of {target} is a planner of NVIDIA's and scales it; set its "
        "replicas to 0, or give this one mode Shadow"
    )


def members_of(budget: str, planners: Iterable[PlannerSeen]) -> frozenset[str]:
    """Return the planners that take from a budget."""
    return frozenset(one.name for one in planners if one.budget == budget and one.active)
