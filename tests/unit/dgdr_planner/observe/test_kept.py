"""What is kept of objects is what passes read."""

from copy import deepcopy
from typing import Any

import pytest

from dgdr_api.graph import Role
from dgdr_planner.observe.kept import with_writers, without_history
from dgdr_planner.observe.observation import TargetSeen
from dgdr_planner.observe.target import adapter_names, target_of
from support.planning import adapter, graph_deployment, sla_planner

BOTH = (Role.PREFILL, Role.DECODE)
APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def wrote(manager: str, hour: int, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    time = f"2026-01-01T{hour:02}:00:00Z"
    return {"manager": manager, "time": time, "fieldsV1": {"f:spec": spec}, **more}


def with_history(manifest: dict[str, Any], *entries: dict[str, Any]) -> dict[str, Any]:
    meta = {**manifest["metadata"], "annotations": {APPLIED: "x" * 9999, "team": "a"}}
    return {**manifest, "metadata": {**meta, "managedFields": [*entries]}}


def seen(dgd: dict[str, Any], *adapters: dict[str, Any]) -> TargetSeen:
    found = target_of(dgd, {one["metadata"]["name"]: one for one in adapters}, BOTH)
    assert isinstance(found, TargetSeen)
    return found


def test_a_planner_is_kept_without_its_history() -> None:
    whole = with_history(sla_planner(), wrote("kubectl", 1, {"f:mode": {}}))
    kept = without_history(whole)
    assert kept["spec"] == whole["spec"]
    assert kept["metadata"] == {**sla_planner()["metadata"], "annotations": {"team": "a"}}
    assert without_history(kept) == kept


@pytest.mark.parametrize(
    "field",
    [
        {"f:components": {'k:{"name":"decode"}': {"f:replicas": {}, "f:podTemplate": {}}}},
        {"f:services": {"f:decode": {"f:replicas": {}, "f:resources": {"f:limits": {}}}}},
    ],
    ids=["v1beta1", "v1alpha1"],
)
def test_of_a_deployment_who_wrote_its_replicas_is_kept(field: dict[str, Any]) -> None:
    status = {**wrote("dgdr-operator", 3, {}), "fieldsV1": {"f:status": {"f:replicas": {}}}}
    first = wrote("kubectl", 1, {"f:backendFramework": {}})
    whole = with_history(graph_deployment(), first, wrote("somebody", 2, field), status)
    before, kept = deepcopy(whole), with_writers(whole)
    assert seen(kept) == seen(whole)
    assert seen(kept).role(Role.DECODE).writer == "somebody"
    assert [one["manager"] for one in kept["metadata"]["managedFields"]] == ["somebody"]
    assert "podTemplate" not in str(kept["metadata"])
    assert (with_writers(kept), whole) == (kept, before)


def test_of_an_adapter_who_wrote_last_is_kept() -> None:
    name = adapter_names(graph_deployment(), BOTH)[1]
    told = adapter("decode", 3)
    assert told["metadata"]["name"] == name
    told["metadata"]["resourceVersion"] = "7"
    whole = with_history(
        told,
        wrote("one", 1, {"f:replicas": {}}),
        wrote("two", 2, {"f:replicas": {}, "f:dgdRef": {}}),
    )
    assert seen(graph_deployment(), with_writers(whole)) == seen(graph_deployment(), whole)
    assert seen(graph_deployment(), with_writers(whole)).role(Role.DECODE).writer == "two"


def test_what_has_no_history_has_none() -> None:
    assert seen(with_writers(graph_deployment())) == seen(graph_deployment())
