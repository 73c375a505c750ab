"""An edit of any one value in one version is one edit in the other, whatever the object holds."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dgdr_api.conversion import ALPHA, BETA, converted
from support.admitted_objects import accepted
from support.any_objects import SPECS, objects

OTHER = {ALPHA: BETA, BETA: ALPHA}
MANY = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
# v1beta1 takes neither without the other, so whoever edits one has both (0040).
TARGETS = {("sla", "ttft"), ("sla", "itl")}
# v1alpha1 says a type of v1beta1, and shared memory, in two fields.
PAIRS = ({"componentType", "subComponentType"}, {"size", "disabled"})
Path = tuple[str | int, ...]


def values(part: Any, at: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is neither an object nor a list, with its place."""
    inner = part.items() if isinstance(part, dict) else enumerate(part)
    for key, one in inner:
        if isinstance(one, dict | list):
            yield from values(one, (*at, key))
        else:
            yield (*at, key), one


def by_name(part: Any) -> Any:
    """Return a spec with lists of named entries as objects: an order is no value."""
    if isinstance(part, dict):
        return {key: by_name(one) for key, one in part.items()}
    if not isinstance(part, list):
        return part
    names = [one.get("name") if isinstance(one, dict) else None for one in part]
    entries = [by_name(one) for one in part]
    named = all(isinstance(one, str) for one in names) and len(set(names)) == len(names)
    return dict(zip(names, entries, strict=True)) if named else entries


def other_than(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1


def edited(manifest: dict[str, Any], path: Path) -> dict[str, Any]:
    found = copy.deepcopy(manifest)
    *parents, last = path
    into = found["spec"]
    for key in parents:
        into = into[key]
    into[last] = other_than(into[last])
    return found


def differing(one: dict[str, Any], other: dict[str, Any]) -> set[Path]:
    sides = [
        {(path, json.dumps(v)) for path, v in values(by_name(m["spec"]))} for m in (one, other)
    ]
    return {path for path, _ in sides[0] ^ sides[1]}


@pytest.mark.parametrize("kind_and_version", SPECS, ids="-".join)
@given(data=st.data())
@MANY
def test_an_edit_of_one_value_is_one_edit_in_the_other_version(
    data: st.DataObject, kind_and_version: tuple[str, str]
) -> None:
    drawn = json.loads(json.dumps(data.draw(objects(*kind_and_version))))
    own = accepted({key: one for key, one in drawn.items() if key != "status"})
    assume(isinstance(own.get("spec"), dict))
    there = converted(own, OTHER[own["apiVersion"]])
    editable = [
        p for p, one in values(there.get("spec") or {}) if one is not None and p[-1] != "name"
    ]
    assume(editable)
    edit = edited(there, data.draw(st.sampled_from(editable)))
    back = converted(edit, own["apiVersion"])
    changed = differing(own, back)
    is_one = len(changed) <= 1 or changed == TARGETS or {path[-1] for path in changed} in PAIRS
    assert is_one, json.dumps([own, edit, back])
    assert converted(back, edit["apiVersion"])["spec"] == edit["spec"]


def places(part: Any, at: Path = ()) -> Iterator[Path]:
    """Every place of a value, objects and lists among them."""
    inner = part.items() if isinstance(part, dict) else enumerate(part)
    for key, one in inner:
        yield (*at, key)
        if isinstance(one, dict | list):
            yield from places(one, (*at, key))


def less(manifest: dict[str, Any], path: Path) -> dict[str, Any]:
    found = copy.deepcopy(manifest)
    *parents, last = path
    into = found["spec"]
    for key in parents:
        into = into[key]
    del into[last]
    return found


def meant(manifest: dict[str, Any], api_version: str) -> dict[str, Any]:
    """Return what an object says in the other version, without its notes."""
    bare = {key: one for key, one in manifest.items() if key != "metadata"}
    found: dict[str, Any] = json.loads(json.dumps(converted(bare, api_version)))
    return found


def all_values(manifest: dict[str, Any]) -> set[Path]:
    return {path for path, _ in values(by_name(manifest.get("spec") or {}))}


@pytest.mark.parametrize("kind_and_version", SPECS, ids="-".join)
@given(data=st.data())
@MANY
def test_what_is_deleted_in_one_version_is_not_said_in_the_other(
    data: st.DataObject, kind_and_version: tuple[str, str]
) -> None:
    drawn = json.loads(json.dumps(data.draw(objects(*kind_and_version))))
    own = accepted({key: one for key, one in drawn.items() if key != "status"})
    assume(isinstance(own.get("spec"), dict))
    there = converted(own, OTHER[own["apiVersion"]])
    for path in [one for one in places(there.get("spec") or {}) if one[-1] != "name"][:40]:
        edit = less(there, path)
        back = json.loads(json.dumps(converted(edit, own["apiVersion"])))
        bare = {**meant(edit, own["apiVersion"]), "metadata": {"name": "x"}}
        known = all_values(edit) | all_values(meant(bare, edit["apiVersion"]))
        assert all_values(meant(back, edit["apiVersion"])) <= known, json.dumps([own, edit, back])
        assert converted(back, edit["apiVersion"])["spec"] == edit["spec"]
