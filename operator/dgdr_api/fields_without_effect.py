"""Fields of a deployment that other operators know, which are accepted and have no effect here."""

from collections.abc import Iterator
from datetime import datetime

from dgdr_api.conditions import condition, with_condition
from dgdr_api.graph import Component, Graph
from dgdr_api.models.base import Conditions

FIELDS_WITHOUT_EFFECT = "FieldsWithoutEffect"

# What each asks for; the names are those of ``dgd_v1beta1``.
_OF_SPEC = {
    "experimental": "features of NVIDIA's operator",
    "providerOverride": "another orchestrator",
    "topologyConstraint": "placement by Grove; use affinity in the podTemplate",
}
_OF_COMPONENT = {
    "eppConfig": "an endpoint picker",
    "experimental": "features of NVIDIA's operator",
    "minAvailable": "gang scheduling by Grove",
    "modelRef": "a Service of the model",
    "topologyConstraint": "placement by Grove; use affinity in the podTemplate",
}


def fields_without_effect(graph: Graph) -> tuple[str, ...]:
    """Return a sentence part for each such field: its path, and what it asks for."""
    return tuple(_found(graph))


def _found(graph: Graph) -> Iterator[str]:
    of_spec = graph.extra.get("spec", {})
    for field, wish in _OF_SPEC.items():
        if field in of_spec:
            yield f"spec.{field} ({wish})"
    for component in graph.components:
        for field, wish in _OF_COMPONENT.items():
            if field in component.extra:
                yield f"spec.components[{component.name}].{field} ({wish})"
        if (beside := component.extra.get("frontendSidecar")) and not _has(component, beside):
            yield f"spec.components[{component.name}].frontendSidecar (no container {beside})"


def _has(component: Component, container: object) -> bool:
    return any(one.get("name") == container for one in component.pod.get("containers", ()))


def with_fields(
    conditions: Conditions, fields: tuple[str, ...], now: datetime, generation: int
) -> Conditions:
    """Return the conditions with those fields; nothing is said where there are none."""
    if not fields:
        return tuple(known for known in conditions if known.type != FIELDS_WITHOUT_EFFECT)
    text = f"accepted, without effect: {'; '.join(fields)}"
    new = condition(FIELDS_WITHOUT_EFFECT, True, "NotSupported", text, now, generation)
    return with_condition(conditions, new, now)
