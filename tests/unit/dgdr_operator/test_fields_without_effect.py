"""Fields of other operators' manifests: accepted, and said to have no effect here."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dgdr_api.conditions import find
from dgdr_api.models.dgd_v1beta1 import DgdComponent, DGDSpec, DGDStatus, DynamoGraphDeployment
from dgdr_operator.core.graph_status import GraphSeen, status_after
from support.dgds import decode_worker, dgd, frontend, graph

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONDITION = "FieldsWithoutEffect"
NEW = DGDStatus()
MARK = "FieldsWithoutEffect names it"


def told(old: DGDStatus, *components: dict[str, Any], **spec: Any) -> DGDStatus:
    return status_after(GraphSeen(graph=graph(*components, **spec), generation=1), old, NOW)


def unused(model: type) -> list[str]:
    fields = model.model_fields.items()  # type: ignore[attr-defined]
    return [field.alias or name for name, field in fields if MARK in (field.description or "")]


@pytest.mark.parametrize("field", unused(DgdComponent))
def test_a_field_of_a_component_is_accepted_and_named(field: str) -> None:
    value = {"minAvailable": 1}.get(field, {"name": "m"})
    worker = {**decode_worker(), field: value}
    DynamoGraphDeployment.parse(dgd(frontend(), worker))
    found = find(told(NEW, frontend(), worker).conditions, CONDITION)
    assert found is not None
    assert found.is_true
    assert f"spec.components[decode].{field} (" in found.message


@pytest.mark.parametrize("field", unused(DGDSpec))
def test_a_field_of_the_spec_is_accepted_and_named(field: str) -> None:
    DynamoGraphDeployment.parse(dgd(frontend(), **{field: {"id": "1"}}))
    found = find(told(NEW, frontend(), **{field: {"id": "1"}}).conditions, CONDITION)
    assert found is not None
    assert f"spec.{field} (" in found.message


def test_a_sidecar_that_is_no_container_is_named() -> None:
    beside = {"name": "side", "image": "i"}
    worker = decode_worker(frontendSidecar="side")
    assert find(told(NEW, worker).conditions, CONDITION) is not None
    worker["podTemplate"]["spec"]["containers"].append(beside)
    assert find(told(NEW, worker).conditions, CONDITION) is None


def test_the_condition_goes_with_the_field() -> None:
    old = told(NEW, {**frontend(), "minAvailable": 1})
    assert find(old.conditions, CONDITION) is not None
    assert find(told(old, frontend()).conditions, CONDITION) is None
