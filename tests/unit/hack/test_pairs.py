"""Our answers beside another operator's: what differs is found, and needs a reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from dgdr_api.conversion import ALPHA, BETA, converted
from hack.pairs import differences
from hack.pairs_report import UNEXPLAINED, pairs_report

WORKER = {
    "name": "w",
    "type": "worker",
    "podTemplate": {"spec": {"containers": [{"name": "main", "image": "r/vllm:1.5.0"}]}},
}
GRAPH = {
    "apiVersion": BETA,
    "kind": "DynamoGraphDeployment",
    "metadata": {"name": "g"},
    "spec": {"components": [WORKER]},
}


def answer(**spec: Any) -> dict[str, Any]:
    alpha = converted(GRAPH, ALPHA)
    return {
        "converted": {**alpha, "spec": {**alpha["spec"], **spec}},
        "stored": GRAPH,
        "readAsV1alpha1": alpha,
        "schemaErrors": [],
        "webhookErrors": [],
    }


def reported(folder: Path, said: dict[str, Any], **files: Any) -> str:
    for name, content in {"in": GRAPH, "out": said, **files}.items():
        (folder / f"001.{name}.json").write_text(json.dumps(content))
    return pairs_report(folder)


def test_what_is_answered_alike_needs_no_reason(tmp_path: Path) -> None:
    text = reported(tmp_path, answer())
    assert "0 of 0 kinds" in text
    assert UNEXPLAINED not in text


def test_a_difference_of_a_new_kind_is_unexplained(tmp_path: Path) -> None:
    text = reported(tmp_path, answer(backendFramework="vllm"))
    assert f"{UNEXPLAINED} {tmp_path.name}/001 converted: .spec.backendFramework: null" in text


def test_a_known_difference_has_its_reason(tmp_path: Path) -> None:
    said = answer()
    said["webhookErrors"] = ["spec.components[0].runtimeVersionOverride: Required value: ..."]
    text = reported(tmp_path, said)
    assert "images need no semantic version" in text
    assert UNEXPLAINED not in text


def test_what_only_one_of_them_renders_is_found(tmp_path: Path) -> None:
    strange = {"kind": "Widget", "metadata": {"name": "g-w"}}
    text = reported(tmp_path, answer(), render={"objects": [strange]})
    assert f"{UNEXPLAINED} {tmp_path.name}/001 rendered: Widget: null, theirs" in text


@pytest.mark.parametrize(
    ("ours", "theirs", "paths"),
    [
        ({"a": 1}, {"a": True}, [".a"]),
        ([{"name": "a", "x": 1}], [{"name": "a", "x": 2}], ["[a].x"]),
        ([{"name": "a"}, {"name": "b"}], [{"name": "b"}, {"name": "a"}], ["[order]"]),
        ([1, 2], [1], [""]),
        ([], [{"name": "a"}], [""]),
    ],
)
def test_entries_are_compared_by_their_names(ours: Any, theirs: Any, paths: list[str]) -> None:
    assert [path for path, *_ in differences(ours, theirs)] == paths
