"""The stored version's schema has room for all that a conversion writes, or the server prunes it.

``fake_admission`` prunes as the API server does; an object of v1alpha1 is pruned by its own schema
before it is converted.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.conversion.kept import same
from support.admitted_objects import accepted, kept
from support.any_objects import SPECS, objects
from unit.dgdr_api.conversion.test_round_trips import MANY, sent

OTHER = {ALPHA: BETA, BETA: ALPHA}


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
