"""The stored version's schema has room for all that a conversion writes, or the server prunes it.

``fake_admission`` prunes as the API server does; an object of v1alpha1 is pruned by its own schema
before it is converted.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.conversion.kept import same
from dgdr_kube.kinds import DGD, DGDR, DGDSA, Kind
from support.any_objects import SPECS, objects
from support.fake_admission import breaches, pruned, schemas
from unit.dgdr_api.conversion.test_round_trips import MANY, sent

KINDS = {kind.kind: kind for kind in (DGDR, DGD, DGDSA)}
OTHER = {ALPHA: BETA, BETA: ALPHA}


def schema(kind: str, version: str) -> dict[str, Any]:
    known = KINDS[kind]
    found: dict[str, Any] = schemas()[Kind(known.group, version, known.plural, kind)]
    return found


def kept(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what the API server keeps of an object."""
    of = schema(manifest["kind"], manifest["apiVersion"].rpartition("/")[2])["properties"]
    parts = {key: pruned(of[key], manifest[key]) for key in ("spec", "status") if key in manifest}
    return {**manifest, **parts}


def accepted(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what its own version's schema refuses or prunes."""
    of = schema(manifest["kind"], manifest["apiVersion"].rpartition("/")[2])["properties"]
    parts = {key: allowed(of[key], manifest[key]) for key in ("spec", "status") if key in manifest}
    return kept({**manifest, **parts})


def allowed(of: dict[str, Any], value: Any) -> Any:
    if isinstance(value, list):
        inner = of.get("items") or {}
        return [one for one in (allowed(inner, one) for one in value) if is_allowed(inner, one)]
    if not isinstance(value, dict):
        return value
    known, others = of.get("properties") or {}, of.get("additionalProperties") or {}
    inner = {key: known.get(key, others if isinstance(others, dict) else {}) for key in value}
    fields = {key: allowed(inner[key], one) for key, one in value.items()}
    return {key: one for key, one in fields.items() if is_allowed(inner[key], one)}


def is_allowed(of: dict[str, Any], value: Any) -> bool:
    return not of or not [*breaches({**of, "required": []}, value, "")]


@pytest.mark.parametrize("kind_and_version", SPECS, ids="-".join)
@given(data=st.data())
@MANY
def test_nothing_is_pruned_of_what_a_conversion_writes(
    data: st.DataObject, kind_and_version: tuple[str, str]
) -> None:
    given_ = accepted(sent(data.draw(objects(*kind_and_version))))
    there = sent(converted(given_, OTHER[given_["apiVersion"]]))
    assert same(kept(there), there), json.dumps([given_, there])
    assert same(sent(converted(kept(there), given_["apiVersion"])), given_)
