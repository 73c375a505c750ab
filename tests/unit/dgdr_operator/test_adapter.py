"""Who says how many replicas a component has."""

from typing import Any

import pytest

from dgdr_api.models.dgdsa import DgdsaStatus, DynamoGraphDeploymentScalingAdapter
from dgdr_operator.core.adapter import (
    Target,
    adapted_components,
    components_written_by,
    decide_copy,
    render_adapter,
    render_copy,
    with_pods,
)
from support.dgds import OWNER, decode_worker, dgd, entry, frontend, graph


def adapter(component: str, replicas: int) -> DynamoGraphDeploymentScalingAdapter:
    return DynamoGraphDeploymentScalingAdapter.parse(
        {
            "apiVersion": "nvidia.com/v1beta1",
            "kind": "DynamoGraphDeploymentScalingAdapter",
            "metadata": {"name": f"g-{component.lower()}"},
            "spec": {"replicas": replicas, "dgdRef": {"name": "g", "serviceName": component}},
        }
    )


def pair(prefill: int | None, decode: int | None) -> Any:
    def worker(name: str, replicas: int | None) -> dict[str, Any]:
        given = {} if replicas is None else {"replicas": replicas}
        return entry(name, name, scalingAdapter={}, **given)

    return graph(frontend(), worker("prefill", prefill), worker("decode", decode))


@pytest.mark.parametrize(
    ("adapters", "ours", "replicas", "texts"),
    [
        pytest.param([], set(), {}, [], id="no adapter decides nothing"),
        pytest.param(
            [adapter("decode", 3)],
            set(),
            {"decode": 3},
            ["Scaled decode from 1 to 3 replicas"],
            id="up",
        ),
        pytest.param(
            [adapter("DECODE", 0)],
            set(),
            {"decode": 0},
            ["Scaled decode from 1 to 0 replicas"],
            id="to zero; names ignore case",
        ),
        pytest.param([adapter("decode", 1)], set(), {"decode": 1}, [], id="equal already"),
        pytest.param(
            [adapter("prefill", 2), adapter("decode", 3)],
            {"prefill"},
            {"prefill": 2, "decode": 3},
            ["Scaled decode from 1 to 3 replicas"],
            id="the other adapter's number is said again, or it would be taken back",
        ),
        pytest.param(
            [adapter("decode", 3)],
            {"prefill"},
            {"prefill": 2, "decode": 3},
            ["Scaled decode from 1 to 3 replicas"],
            id="a component that lost its adapter keeps its number",
        ),
    ],
)
def test_copy(adapters: Any, ours: set[str], replicas: dict[str, int], texts: list[str]) -> None:
    copy = decide_copy(pair(prefill=2, decode=1), adapters, frozenset(ours))
    assert copy.replicas == replicas
    assert [str(scaling) for scaling in copy.scalings] == texts


def test_a_component_without_a_number_counts_as_one() -> None:
    whole = pair(prefill=None, decode=None)
    assert decide_copy(whole, [adapter("decode", 1)], frozenset()).scalings == ()
    assert decide_copy(whole, [adapter("decode", 2)], frozenset()).scalings[0].before == 1


def test_after_the_copy_there_is_nothing_to_copy() -> None:
    adapters = [adapter("prefill", 4), adapter("decode", 5)]
    assert decide_copy(pair(prefill=4, decode=5), adapters, frozenset()).scalings == ()


def test_the_copy_names_the_version_that_it_saw() -> None:
    manifest = dgd(decode_worker())
    manifest["metadata"] |= {"uid": "u", "resourceVersion": "7", "labels": {"a": "b"}}
    copy = decide_copy(pair(prefill=2, decode=1), [adapter("decode", 3)], frozenset())
    applied = render_copy(manifest, copy)
    assert applied["metadata"] == {
        "name": "g",
        "namespace": "ns",
        "uid": "u",
        "resourceVersion": "7",
    }
    assert applied["spec"] == {"components": [{"name": "decode", "replicas": 3}]}


def test_a_new_adapter_starts_where_the_component_is() -> None:
    whole = pair(prefill=2, decode=None)
    made = {c.name: render_adapter(whole, c, OWNER) for c in adapted_components(whole)}
    assert {name: m["spec"]["replicas"] for name, m in made.items()} == {"prefill": 2, "decode": 1}
    assert made["decode"]["metadata"]["name"] == "g-decode"
    assert made["decode"]["metadata"]["ownerReferences"] == [OWNER]
    assert all(DynamoGraphDeploymentScalingAdapter.parse(m) for m in made.values())


def test_an_autoscaler_finds_the_pods() -> None:
    whole = pair(prefill=2, decode=1)
    target = Target(manifest={}, graph=whole, component=whole.components[2])
    status = with_pods(DgdsaStatus(), target, 1)
    assert status.to_json() == {
        "replicas": 1,
        "selector": "nvidia.com/dynamo-graph-deployment-name=g,nvidia.com/dynamo-component=decode",
        "conditions": [],
    }


def test_what_we_wrote_before_is_read_from_managed_fields() -> None:
    fields: dict[str, Any] = {
        "f:spec": {
            "f:components": {
                'k:{"name":"decode"}': {".": {}, "f:name": {}, "f:replicas": {}},
                'k:{"name":"prefill"}': {".": {}, "f:name": {}},
            }
        }
    }
    manifest = dgd(decode_worker())
    manifest["metadata"]["managedFields"] = [
        {"manager": "dgdr-scale", "operation": "Apply", "fieldsV1": fields},
        {"manager": "dgdr-init", "operation": "Update", "fieldsV1": {"f:spec": {}}},
    ]
    assert components_written_by(manifest, "dgdr-scale") == {"decode"}
    assert components_written_by(manifest, "dgdr-init") == set()
    assert components_written_by(dgd(), "dgdr-scale") == set()
