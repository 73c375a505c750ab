"""How much is tried to find what v1beta1 has no words for."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.conversion import ALPHA, KINDS, unsaid

GRAPH = "DynamoGraphDeployment"


def graph(services: int, keys: int) -> dict[str, Any]:
    fields = {f"unknown{number}": 1 for number in range(keys)}
    spec = {"services": {f"s{number}": fields for number in range(services)}}
    return {"apiVersion": ALPHA, "kind": GRAPH, "metadata": {"name": "g"}, "spec": spec}


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Each spec that was converted."""
    seen: list[Any] = []
    part, *others = KINDS[GRAPH].parts

    def counted(spec: Mapping[str, Any]) -> dict[str, Any]:
        seen.append(spec)
        return part.to_v1beta1(spec)

    kind = replace(KINDS[GRAPH], parts=(replace(part, to_v1beta1=counted), *others))
    monkeypatch.setattr(unsaid, "KINDS", {GRAPH: kind})
    return seen


def test_a_thousand_unknown_fields_cost_as_much_as_thirty(conversions: list[Any]) -> None:
    found = unsaid.unsaid(graph(services=20, keys=50))
    assert len(conversions) == unsaid.MOST_TRIED + 1
    assert (len(found.paths), found.untried) == (30, 970)
    assert found.paths[0] == "spec.services.s0.unknown0"


def test_as_many_as_are_tried_leave_none_untried(conversions: list[Any]) -> None:
    found = unsaid.unsaid(graph(services=1, keys=unsaid.MOST_TRIED))
    assert (len(found.paths), found.untried) == (30, 0)
