"""From pydantic's JSON schema to the structural schema that a CRD needs.

Kubernetes takes a subset: no references, no titles, one type per field, and no defaults from us
(see ``dgdr_api.models.base``). What the subset cannot say is refused here, so that a model that
would lose a rule on its way fails the build.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from dgdr_api.models.base import PRESERVE_UNKNOWN

Schema = dict[str, Any]

_REFERENCE_PREFIX = "#/$defs/"
_DROPPED = ("title", "default", "examples", "discriminator")
_ORDER = ("description", "type", "format", "nullable", "enum", "required", "properties", "items")
_REFUSED = ("oneOf", "not", "prefixItems", "propertyNames", "patternProperties", "if")


class NotStructural(ValueError):
    """A model that no CRD can describe; the message says where and why."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """Return the structural schema of a model, with camelCase names."""
    whole = model.model_json_schema(by_alias=True, mode="validation")
    definitions = whole.pop("$defs", {})
    return _convert(whole, definitions, path=model.__name__, inside=())


def _convert(
    node: Mapping[str, Any], definitions: Mapping[str, Schema], path: str, inside: tuple[str, ...]
) -> Schema:
    schema, inside = _inlined(dict(node), definitions, path, inside)
    for key in _DROPPED:
        schema.pop(key, None)
    refused = next((key for key in _REFUSED if key in schema), None)
    if refused:
        raise NotStructural(f"{path}: a structural schema has no {refused}")
    _rewrite_const(schema)
    _rewrite_exclusive(schema, "Minimum")
    _rewrite_exclusive(schema, "Maximum")
    _rewrite_additional(schema, definitions, path, inside)
    if "properties" in schema:
        schema["properties"] = {
            name: _convert(child, definitions, f"{path}.{name}", inside)
            for name, child in schema["properties"].items()
        }
    if "items" in schema:
        schema["items"] = _convert(schema["items"], definitions, f"{path}[]", inside)
    if "type" not in schema and "x-kubernetes-int-or-string" not in schema:
        raise NotStructural(f"{path}: has no type")
    return {key: schema[key] for key in (*_ORDER, *schema) if key in schema}


def _inlined(
    schema: Schema, definitions: Mapping[str, Schema], path: str, inside: tuple[str, ...]
) -> tuple[Schema, tuple[str, ...]]:
    """Put the referenced or optional schema in its place; what stands beside it wins."""
    while True:
        if "$ref" in schema:
            name = schema.pop("$ref").removeprefix(_REFERENCE_PREFIX)
            if name in inside:
                raise NotStructural(f"{path}: {name} contains itself")
            inside = (*inside, name)
            schema = {**definitions[name], **schema}
        elif len(schema.get("allOf", ())) == 1:
            (only,) = schema.pop("allOf")
            schema = {**only, **schema}
        elif "anyOf" in schema and "x-kubernetes-int-or-string" not in schema:
            schema = {**_only_choice(schema.pop("anyOf"), path), **schema}
        else:
            return schema, inside


def _only_choice(choices: list[Schema], path: str) -> Schema:
    """Return what an optional field holds when it is set."""
    real = [choice for choice in choices if choice.get("type") != "null"]
    if len(real) != 1:
        raise NotStructural(f"{path}: has {len(real)} types; a structural schema has one")
    return real[0]


def _rewrite_const(schema: Schema) -> None:
    """Write a constant as an enum of one."""
    if "const" in schema:
        schema["enum"] = [schema.pop("const")]


def _rewrite_exclusive(schema: Schema, bound: str) -> None:
    """Write an exclusive bound in the style of OpenAPI 3.0: the bound, and a flag."""
    limit = schema.get(f"exclusive{bound}")
    if limit is not None and not isinstance(limit, bool):
        schema[bound.lower()] = limit
        schema[f"exclusive{bound}"] = True


def _rewrite_additional(
    schema: Schema, definitions: Mapping[str, Schema], path: str, inside: tuple[str, ...]
) -> None:
    """Keep the type of a map's values; unknown fields are pruned, or kept where we say so."""
    additional = schema.pop("additionalProperties", None)
    if additional is True and "properties" not in schema:
        schema[PRESERVE_UNKNOWN] = True
    elif isinstance(additional, Mapping):
        schema["additionalProperties"] = _convert(additional, definitions, f"{path}{{}}", inside)
