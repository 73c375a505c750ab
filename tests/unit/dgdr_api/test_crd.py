from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, Field

from dgdr_api.catalog import CRDS, CRDS_BESIDE, DGD, DGDR, DGDSA
from dgdr_api.crd import Crd, Version, render
from dgdr_api.generate import HEADER, files, main, write

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("directory", ["crds", "helm/dgdr-operator/crd-files"])
def test_the_committed_files_are_the_generated_ones(directory: str) -> None:
    found = {path.name: path.read_text() for path in (ROOT / directory).glob("*.yaml")}
    assert found == files(), "run make generate"
    beside = {p.name: p.read_text() for p in (ROOT / f"{directory}-beside").glob("*.yaml")}
    assert beside == files(CRDS_BESIDE), "run make generate"


def leaves(node: dict[str, Any], path: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, node)]
    for name, child in node.get("properties", {}).items():
        found += leaves(child, f"{path}.{name}")
    for part in ("items", "additionalProperties"):
        if isinstance(node.get(part), dict):
            found += leaves(node[part], f"{path}[]")
    return found


def schemas() -> list[Any]:
    return [
        pytest.param(version["schema"]["openAPIV3Schema"], id=f"{crd.kind}-{version['name']}")
        for crd in CRDS
        for version in render(crd)["spec"]["versions"]
    ]


@pytest.mark.parametrize("schema", schemas())
def test_every_field_is_described_and_typed(schema: dict[str, Any]) -> None:
    for path, node in leaves(schema, ""):
        if not path.startswith(".metadata") and not path.endswith("[]"):
            assert node.get("description"), f"{path} has no description"
        assert "type" in node or "x-kubernetes-int-or-string" in node, f"{path} has no type"


@pytest.mark.parametrize("schema", schemas())
def test_the_server_writes_no_default_into_an_object(schema: dict[str, Any]) -> None:
    assert [path for path, node in leaves(schema, "") if "default" in node] == []


@pytest.mark.parametrize("schema", schemas())
def test_a_rule_says_something(schema: dict[str, Any]) -> None:
    for _, node in leaves(schema, ""):
        for rule in node.get("x-kubernetes-validations", ()):
            assert rule["message"]
            assert "\n" not in rule["message"]


def test_every_edit_of_a_deployment_is_taken_as_upstream_takes_it() -> None:
    """A v1alpha1 object is not checked by these rules, and its types may change."""
    versions = render(DGD)["spec"]["versions"]
    nodes = [node for v in versions for _, node in leaves(v["schema"]["openAPIV3Schema"], "")]
    rules = [rule["rule"] for node in nodes for rule in node.get("x-kubernetes-validations", ())]
    assert rules
    assert [rule for rule in rules if "oldSelf" in rule] == []


def test_columns_and_short_names_are_upstreams() -> None:
    spec = render(DGDR)["spec"]
    columns = [column["name"] for column in spec["versions"][0]["additionalPrinterColumns"]]
    assert columns == [
        "Model",
        "Backend",
        "Phase",
        "Profiling",
        "Reason",
        "Message",
        "DGD",
        "Age",
    ]
    assert spec["names"]["shortNames"] == ["dgdr"]
    assert spec["versions"][0]["subresources"] == {"status": {}}


def test_an_adapter_scales_in_both_versions_and_is_stored_in_one() -> None:
    versions = render(DGDSA)["spec"]["versions"]
    assert [(v["name"], v["storage"]) for v in versions] == [("v1alpha1", False), ("v1beta1", True)]
    for version in versions:
        assert version["subresources"]["scale"] == {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }


class Spec(BaseModel):
    """Spec."""

    size: int = Field(description="Size.")


class Thing(BaseModel):
    """Thing."""

    spec: Spec = Field(description="Spec.")


def crd(*versions: Version) -> Crd:
    return Crd(group="g.test", kind="Thing", plural="things", versions=versions)


def test_an_old_version_warns() -> None:
    old = Version(name="v1", model=Thing, storage=False, warning="use v2")
    rendered = render(crd(old, Version(name="v2", model=Thing)))["spec"]["versions"]
    assert (rendered[0]["deprecated"], rendered[0]["deprecationWarning"]) == (True, "use v2")
    assert "deprecated" not in rendered[1]
    assert "subresources" not in rendered[1]


@pytest.mark.parametrize("stored", [(), ("v1", "v2")])
def test_one_version_is_stored(stored: tuple[str, ...]) -> None:
    versions = (Version(name=n, model=Thing, storage=n in stored) for n in ("v1", "v2"))
    with pytest.raises(ValueError, match=r"things\.g\.test: exactly one version is stored"):
        render(crd(*versions))


def test_writing_removes_what_is_gone_and_leaves_what_is_not_ours(tmp_path: Path) -> None:
    crds = tmp_path / "crds"
    crds.mkdir()
    (crds / "gone.yaml").write_text(f"{HEADER}old: true\n")
    (crds / "mine.yaml").write_text("mine: true\n")
    write(crds)
    names = {path.name for path in crds.iterdir()}
    assert names == {*files(), "mine.yaml"}
    assert all(yaml.safe_load((crds / name).read_text()) for name in names)
    assert {path.name for path in (tmp_path / "crds-beside").iterdir()} == {*files(CRDS_BESIDE)}


def test_beside_nvidias_operator_a_request_is_the_same_in_another_group() -> None:
    (beside,) = map(render, CRDS_BESIDE)
    assert beside["metadata"]["name"] == "dynamographdeploymentrequests.dgdr.dev"
    assert beside["spec"]["versions"] == render(DGDR)["spec"]["versions"][:1]
    assert beside["spec"]["conversion"] == {"strategy": "None"}
    assert "shortNames" not in beside["spec"]["names"]


def test_the_generator_wants_to_know_where(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
