"""There and back is the object again, whatever it holds."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.conversion.kept import same
from support.any_objects import SPECS, objects

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
MANY = settings(max_examples=350, deadline=None, suppress_health_check=SLOW)
OTHER = {ALPHA: BETA, BETA: ALPHA}


@pytest.mark.parametrize("kind_and_version", SPECS, ids="-".join)
@given(data=st.data())
@MANY
def test_there_and_back_is_the_object_again(
    data: st.DataObject, kind_and_version: tuple[str, str]
) -> None:
    given_ = data.draw(objects(*kind_and_version))
    there = sent(converted(given_, OTHER[given_["apiVersion"]]))
    assert there["apiVersion"] == OTHER[given_["apiVersion"]]
    back = sent(converted(there, given_["apiVersion"]))
    assert same(back, sent(given_)), json.dumps([given_, there, back])
    again = sent(converted(back, there["apiVersion"]))
    assert same(again, there), json.dumps([given_, there, again])


def sent(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return a manifest as a webhook reads it."""
    found: dict[str, Any] = json.loads(json.dumps(manifest))
    return found
