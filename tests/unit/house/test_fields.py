"""Every field of every schema has its effect on record, or says that it has none."""

from typing import Any

import pytest

from dgdr_api.field_notes import field_notes
from dgdr_api.fields_without_effect import fields_without_effect
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_webhooks.core.verdict import verdict
from hack.fields import PAGE, ROOT, covers, fields, page, table
from support.dgds import decode_worker, graph

KINDS = sorted(fields())
ENTRIES = [
    (name, what, path, *row)
    for name, parts in table().items()
    for what, rows in parts.items()
    for path, row in rows.items()
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_one_entry(kind: str) -> None:
    entries = [path for name, _, path, *_ in ENTRIES if name == kind]
    counts = {path: sum(covers(entry, path) for entry in entries) for path in fields()[kind]}
    assert {path: count for path, count in counts.items() if count != 1} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_no_entry_is_about_a_field_that_is_gone(kind: str) -> None:
    entries = [path for name, _, path, *_ in ENTRIES if name == kind]
    there = fields()[kind]
    assert [one for one in entries if not any(covers(one, path) for path in there)] == []


def test_every_entry_names_a_file_that_there_is() -> None:
    assert {place for *_, place in ENTRIES if not (ROOT / place).exists()} == set()


def test_the_page_is_what_the_table_says() -> None:
    assert PAGE.read_text() == page(), "run `make generate`"


VALUES: dict[str, Any] = {
    "minAvailable": 1,
    "hardware.interconnect": "nvlink",
    "hardware.rdma": True,
    "sla.optimizationType": "latency",
}


def silent(kind: str) -> list[str]:
    return [path for name, what, path, *_ in ENTRIES if (name, what) == (kind, "says")]


@pytest.mark.parametrize("path", silent("DynamoGraphDeployment/v1beta1"))
def test_a_field_of_a_deployment_without_effect_is_said(path: str) -> None:
    field = path.removeprefix("components[].")
    value = {field: VALUES.get(field, {"a": "b"})}
    own = value if path != field else {}
    said = fields_without_effect(graph(decode_worker(**own), **({} if own else value)))
    assert len(said) == 1
    assert field in said[0]


@pytest.mark.parametrize("path", silent("DynamoGraphDeploymentRequest/v1beta1"))
def test_a_field_of_a_request_without_effect_is_said(path: str) -> None:
    section, field = path.split(".")
    spec = DGDRSpec.model_validate({"model": "m", section: {field: VALUES[path]}})
    (said,) = field_notes(spec)
    assert said.startswith(f"spec.{path} has no effect")


def test_a_strategy_that_changes_nothing_is_said() -> None:
    (said,) = field_notes(DGDRSpec.model_validate({"model": "m", "searchStrategy": "rapid"}))
    assert said.startswith("spec.searchStrategy rapid has no effect")
    assert field_notes(DGDRSpec.model_validate({"model": "m"})) == ()


OF_V1ALPHA1: dict[str, Any] = {
    "enableGpuDiscovery": True,
    "profilingConfig.configMapRef": {"name": "base"},
    "services{}.serviceName": "x",
    "services{}.minAvailable": 1,
    "services{}.failover": {"enabled": True},
    "services{}.gpuMemoryService": {"enabled": True},
    "pvcs[].create": True,
}


def alpha(kind: str, path: str) -> dict[str, Any]:
    """An object of v1alpha1 that says that one field beside what it needs."""
    value = OF_V1ALPHA1.get(path, "x" if "." in path and "{}" not in path else {"a": "b"})
    main = {"mainContainer": {"image": "i"}}
    spec: dict[str, Any] = {"services": {"w": {"componentType": "worker", "extraPodSpec": main}}}
    if kind.endswith("Request"):
        spec = {"model": "m", "profilingConfig": {"profilerImage": "i"}}
    place, parts = spec, path.split(".")
    for part in parts[:-1]:
        if part == "services{}":
            place = spec["services"]["w"]
        elif part == "pvcs[]":
            spec["pvcs"] = [place := {"name": "c"}]
            spec["services"]["w"]["volumeMounts"] = [{"name": "c", "mountPoint": "/c"}]
        else:
            place = place.setdefault(part, {})
    place[parts[-1]] = value
    return {
        "apiVersion": "nvidia.com/v1alpha1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "ns"},
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (kind, path.removesuffix(".**"))
        for kind in ("DynamoGraphDeploymentRequest", "DynamoGraphDeployment")
        for path in silent(f"{kind}/v1alpha1")
    ],
)
def test_a_field_of_v1alpha1_without_effect_is_said_at_apply(kind: str, path: str) -> None:
    field = path.rpartition(".")[2]
    in_v1beta1 = {"checkpoint", "failover", "gpuMemoryService"}
    said = verdict(alpha(kind, path), None)
    assert said.refusals == ()
    assert any(
        field in one or (field in in_v1beta1 and "experimental" in one) for one in said.warnings
    )
