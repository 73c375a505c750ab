"""DynamoGraphDeployments of v1alpha1, for tests."""

import json
from typing import Any

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.graph import Component, Graph


def dgd(**fields: Any) -> dict[str, Any]:
    """Return a manifest; a field whose value is no service of ``service`` is the spec's."""
    found = {key: value for key, value in fields.items() if key not in SPEC}
    spec = {key: value for key, value in fields.items() if key in SPEC}
    return {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": "g"},
        "spec": {**spec, "services": found},
    }


SPEC = (
    *("backendFramework", "envs", "labels", "annotations", "priorityClassName"),
    *("topologyConstraint", "graphs", "pvcs"),
)


def service(**fields: Any) -> dict[str, Any]:
    return {"componentType": "worker", **fields}


def in_main(**fields: Any) -> dict[str, Any]:
    return {"extraPodSpec": {"mainContainer": fields}}


def only(graph: Graph) -> Component:
    (component,) = graph.components
    return component


def services(manifest: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = manifest["spec"]["services"]
    return found


def through(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest as it comes back from the other version, stored in between."""
    own = manifest["apiVersion"]
    other = converted(manifest, BETA if own == ALPHA else ALPHA)
    return converted(json.loads(json.dumps(other)), own)
