"""Whatever an object holds, it is answered: an exception would let it pass unseen."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dgdr_webhooks.core.admission_review import validated
from support.any_objects import SPECS, objects

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
MANY = settings(max_examples=150, deadline=None, suppress_health_check=SLOW)
KINDS = [one for one in SPECS if "Adapter" not in one[0]]


def sent(data: st.DataObject, kind_and_version: tuple[str, str]) -> dict[str, Any]:
    drawn: dict[str, Any] = json.loads(json.dumps(data.draw(objects(*kind_and_version))))
    return drawn


@pytest.mark.parametrize("kind_and_version", KINDS, ids="-".join)
@given(data=st.data())
@MANY
def test_every_object_is_answered_and_none_blocks_itself(
    data: st.DataObject, kind_and_version: tuple[str, str]
) -> None:
    new, old = sent(data, kind_and_version), sent(data, kind_and_version)
    for review in (
        {"uid": "1", "operation": "CREATE", "object": new},
        {"uid": "1", "operation": "UPDATE", "object": new, "oldObject": old},
    ):
        answer = validated({"request": review}).review["response"]
        assert isinstance(answer["allowed"], bool)
        json.dumps(answer)
    same = {"uid": "1", "operation": "UPDATE", "object": new, "oldObject": new}
    assert validated({"request": same}).allowed
