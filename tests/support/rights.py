"""Rights that the chart grants, from its reviewed manifests, and calls in the same words."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from dgdr_kube.kinds import Kind

GOLDEN = Path(__file__).resolve().parents[1] / "integration/golden"

Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""

_SUBRESOURCES = {"patch_status": "/status", "scale": "/scale"}


def granted(*roles: str, case: str = "default") -> set[Right]:
    """Return what these ClusterRoles and Roles of the chart grant, names aside."""
    text = (GOLDEN / f"chart-{case}.yaml").read_text()
    documents = [d for d in yaml.safe_load_all(text) if d]
    found = {d["metadata"]["name"]: d for d in documents if d["kind"] in ("ClusterRole", "Role")}
    return {right for role in roles for right in of_rules(found[role]["rules"])}


def of_rules(rules: Iterable[dict[str, Any]]) -> set[Right]:
    """Return the rights of a role's rules, names aside."""
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def needed(calls: Iterable[tuple[str, Kind]]) -> set[Right]:
    """Return the rights that calls of our client need."""
    return {
        (
            kind.group,
            f"{kind.plural}{_SUBRESOURCES.get(verb, '')}",
            "patch" if verb in ("apply", *_SUBRESOURCES) else verb,
        )
        for verb, kind in calls
    }


def watching(kinds: Iterable[Kind]) -> set[Right]:
    """Return the rights that a watch of each kind needs."""
    return {(kind.group, kind.plural, verb) for kind in kinds for verb in ("list", "watch")}
