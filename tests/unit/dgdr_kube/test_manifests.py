from typing import Any

import pytest

from dgdr_kube.manifests import covers, merge_patch
from support.field_sets import merge_patched


@pytest.mark.parametrize(
    ("old", "new", "patch"),
    [
        pytest.param({"a": 1}, {"a": 1}, {}, id="equal"),
        pytest.param({"a": 1, "b": 2}, {"a": 1}, {"b": None}, id="removed"),
        pytest.param({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}}, {"a": {"b": 3}}, id="deep"),
        pytest.param({"a": [1]}, {"a": [1, 2]}, {"a": [1, 2]}, id="lists are replaced"),
        pytest.param({}, {"a": {"b": 1}}, {"a": {"b": 1}}, id="added"),
    ],
)
def test_merge_patch(old: Any, new: Any, patch: Any) -> None:
    assert merge_patch(old, new) == patch
    assert merge_patched(old, patch) == new


@pytest.mark.parametrize(
    ("actual", "wanted", "answer"),
    [
        pytest.param({"a": 1, "default": True}, {"a": 1}, True, id="defaults do not count"),
        pytest.param({"a": 1}, {"a": 2}, False, id="another value"),
        pytest.param({"a": [{"n": 1, "d": 0}]}, {"a": [{"n": 1}]}, True, id="inside lists"),
        pytest.param({"a": [1, 2]}, {"a": [1]}, False, id="length counts"),
        pytest.param({}, {"a": {}}, False, id="missing"),
    ],
)
def test_covers(actual: Any, wanted: Any, answer: bool) -> None:
    assert covers(actual, wanted) is answer
