"""``kubectl dgdr convert``: files in, the other version out."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from dgdr_cli.app import app
from dgdr_cli.errors import Unreadable

OLD = """
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeploymentRequest
metadata: {name: old}
spec:
  model: org/model-8b
  backend: vllm
  profilingConfig:
    profilerImage: registry.test/profiler:1
    config: {sla: {ttft: 200, itl: 20}, sweep: {dryRun: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: team}
"""


def test_there_and_back_through_files(tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(OLD)
    there = CliRunner().invoke(app, ["convert", str(old)])
    assert there.exit_code == 0
    request, namespace = yaml.safe_load_all(there.stdout)
    assert request["apiVersion"] == "nvidia.com/v1beta1"
    assert request["spec"]["sla"] == {"ttft": 200, "itl": 20}
    assert "dryRun" in request["metadata"]["annotations"]["nvidia.com/dgdr-spec"]
    assert "without effect" in there.stderr
    assert namespace["kind"] == "Namespace"
    new.write_text(there.stdout)
    back = CliRunner().invoke(app, ["convert", str(new), "--to", "v1alpha1"])
    assert list(yaml.safe_load_all(back.stdout)) == list(yaml.safe_load_all(OLD))


def test_standard_input() -> None:
    done = CliRunner().invoke(app, ["convert", "-"], input=OLD)
    assert "nvidia.com/v1beta1" in done.stdout


def test_what_is_no_manifest_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    for text in ("- a\n", "a: [\n"):
        wrong.write_text(text)
        done = CliRunner().invoke(app, ["convert", str(wrong)])
        assert isinstance(done.exception, Unreadable)
        assert "wrong.yaml" in str(done.exception)
    done = CliRunner().invoke(app, ["convert", str(tmp_path / "none.yaml")])
    assert isinstance(done.exception, Unreadable)
    wrong.write_text("apiVersion: nvidia.com/v1\nkind: DynamoGraphDeployment\n")
    assert isinstance(CliRunner().invoke(app, ["convert", str(wrong)]).exception, Unreadable)


@pytest.mark.parametrize(
    ("version", "kind", "wanted"),
    [("v1", "List", "v1"), ("nvidia.com/v1alpha1", "XList", "nvidia.com/v1beta1")],
    ids=["of kubectl", "of the API"],
)
def test_what_a_list_holds_is_converted(version: str, kind: str, wanted: str) -> None:
    items = list(yaml.safe_load_all(OLD))
    given = yaml.safe_dump({"apiVersion": version, "kind": kind, "items": items})
    done = CliRunner().invoke(app, ["convert", "-"], input=given)
    made = yaml.safe_load(done.stdout)
    assert (made["apiVersion"], made["kind"]) == (wanted, kind)
    request, namespace = made["items"]
    assert request["apiVersion"] == "nvidia.com/v1beta1"
    assert request["spec"]["sla"] == {"ttft": 200, "itl": 20}
    assert "without effect" in done.stderr
    assert namespace == items[1]


def test_a_kind_that_is_only_called_a_list_is_printed_as_it_is() -> None:
    given = {"apiVersion": "e.test/v1", "kind": "AllowList", "items": ["a"]}
    done = CliRunner().invoke(app, ["convert", "-"], input=yaml.safe_dump(given))
    assert yaml.safe_load(done.stdout) == given


def test_an_unquoted_date_stays_text() -> None:
    dated = OLD.replace("{name: old}", "{name: old, labels: {built: 2024-01-02}}")
    dated = dated.replace("dryRun: true", "since: 2024-01-02, 2024-13-45: x")
    done = CliRunner().invoke(app, ["convert", "-"], input=dated)
    assert done.exit_code == 0, done.exception
    request = next(yaml.safe_load_all(done.stdout))
    assert request["metadata"]["labels"] == {"built": "2024-01-02"}
    assert '"since":"2024-01-02"' in request["metadata"]["annotations"]["nvidia.com/dgdr-spec"]
