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
        pytest.param({}, {"a": {"b": 1}}, False, id="missing"),
        pytest.param({"n": "A"}, {"n": "A", "value": ""}, True, id="an empty text is dropped"),
        pytest.param({}, {"a": [], "b": {}, "c": False, "d": 0, "e": None}, True, id="so is all"),
        pytest.param({"value": "x"}, {"value": ""}, False, id="but not what has a value now"),
        pytest.param({"a": 30}, {"a": 0}, False, id="a default in place of nothing"),
        pytest.param(
            {"limits": {"cpu": "500m", "nvidia.com/gpu": "1", "memory": "1Gi"}},
            {"limits": {"cpu": "0.5", "nvidia.com/gpu": 1, "memory": "1024Mi"}},
            True,
            id="quantities",
        ),
        pytest.param({"limits": {"cpu": "500m"}}, {"limits": {"cpu": "5"}}, False, id="another"),
        pytest.param({"sizeLimit": "1536Mi"}, {"sizeLimit": "1.5Gi"}, True, id="a size"),
        pytest.param({"args": ["500m"]}, {"args": ["0.5"]}, False, id="a word is no quantity"),
    ],
)
def test_covers(actual: Any, wanted: Any, answer: bool) -> None:
    assert covers(actual, wanted) is answer
