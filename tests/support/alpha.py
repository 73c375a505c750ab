"""DynamoGraphDeployments of v1alpha1, for tests."""

from typing import Any

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


def meant(value: Any) -> Any:
    """Return a manifest without its empty fields, which mean as much as missing ones."""
    if not isinstance(value, dict):
        return value
    inner = {key: meant(entry) for key, entry in value.items()}
    return {key: entry for key, entry in inner.items() if entry not in (None, {}, [], "")}
