from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from dgdr_api.models.base import EmbeddedResource, Int32, Quantity, RawObject
from dgdr_api.structural import NotStructural, structural_schema


class Inner(BaseModel):
    """Inside."""

    model_config = ConfigDict(extra="forbid")
    size: int | None = Field(default=None, gt=0, lt=9, description="A size.")


class Outer(BaseModel):
    """Outside."""

    inner: Inner | None = Field(default=None, description="A part.")
    word: Literal["a"] = Field(default="a", description="A constant.")
    words: dict[str, str] = Field(default={}, description="A map.")
    anything: dict[str, Any] = Field(default={}, description="Whatever.")
    list_: tuple[Inner, ...] = Field(default=(), alias="list", description="An array.")
    count: Int32 = Field(default=1, ge=1, description="A count.")
    raw: RawObject | None = Field(default=None, description="Raw.")
    resource: EmbeddedResource | None = Field(default=None, description="An object.")
    memory: Quantity | None = Field(default=None, description="A quantity.")


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    properties: dict[str, Any] = structural_schema(Outer)["properties"]
    return properties


def test_references_are_put_in_place_and_the_field_describes_itself(schema: dict[str, Any]) -> None:
    assert schema["inner"] == {
        "description": "A part.",
        "type": "object",
        "properties": {
            "size": {
                "description": "A size.",
                "type": "integer",
                "minimum": 0,
                "exclusiveMinimum": True,
                "maximum": 9,
                "exclusiveMaximum": True,
            }
        },
    }


def test_a_constant_is_an_enum_of_one(schema: dict[str, Any]) -> None:
    assert schema["word"] == {"description": "A constant.", "type": "string", "enum": ["a"]}


def test_a_map_keeps_the_type_of_its_values(schema: dict[str, Any]) -> None:
    assert schema["words"]["additionalProperties"] == {"type": "string"}


@pytest.mark.parametrize("field", ["anything", "raw", "resource"])
def test_what_we_do_not_read_is_preserved(schema: dict[str, Any], field: str) -> None:
    assert schema[field]["x-kubernetes-preserve-unknown-fields"] is True
    assert "additionalProperties" not in schema[field]


def test_an_embedded_object_is_checked_as_one(schema: dict[str, Any]) -> None:
    assert schema["resource"]["x-kubernetes-embedded-resource"] is True


def test_arrays_and_formats(schema: dict[str, Any]) -> None:
    assert schema["list"]["items"]["description"] == "Inside."
    assert schema["count"] == {
        "description": "A count.",
        "type": "integer",
        "format": "int32",
        "minimum": 1,
    }


def test_a_quantity_is_a_number_or_text(schema: dict[str, Any]) -> None:
    assert schema["memory"]["x-kubernetes-int-or-string"] is True
    assert "type" not in schema["memory"]


def test_no_default_and_no_title_reach_a_crd() -> None:
    assert not {"default", "title", "$defs", "$ref"} & set(_keys(structural_schema(Outer)))


def _keys(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [*node, *(key for child in node.values() for key in _keys(child))]
    return [key for child in node for key in _keys(child)] if isinstance(node, list) else []


class Recursive(BaseModel):
    child: "Recursive | None" = None


class Ambiguous(BaseModel):
    value: int | str = 0


class Untyped(BaseModel):
    value: Any = None


class Pair(BaseModel):
    value: tuple[int, str] = (0, "")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (Recursive, "Recursive.child.*contains itself"),
        (Ambiguous, "Ambiguous.value: has 2 types"),
        (Untyped, "Untyped.value: has no type"),
        (Pair, "Pair.value: a structural schema has no prefixItems"),
    ],
)
def test_what_no_crd_can_say_is_refused(model: type[BaseModel], says: str) -> None:
    with pytest.raises(NotStructural, match=says):
        structural_schema(model)
