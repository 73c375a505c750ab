"""What all kinds share: the base model, metadata, conditions, and types with units.

The models are the only source of the CRDs, so each field's description is what ``kubectl
explain`` prints. Python defaults never reach a CRD: the API server must not write into a user's
object, and what a missing field means is decided in ``dgdr_api.effective`` alone.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from dgdr_api.models.cel import CelRule, extension

PRESERVE_UNKNOWN = "x-kubernetes-preserve-unknown-fields"


class ApiModel(BaseModel):
    """A value of the API: frozen, camelCase outside, and strict about unknown fields."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid"
    )

    cel_rules: ClassVar[tuple[CelRule, ...]] = ()
    """Rules that relate fields; they end up in the CRD."""

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the CEL rules to the schema."""
        schema = handler(core_schema)
        if cls.cel_rules:
            handler.resolve_ref_schema(schema).update(extension(*cls.cel_rules))
        return schema

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, without the fields that are not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class LenientModel(ApiModel):
    """A value that somebody else may write too: unknown fields are read over."""

    model_config = ConfigDict(extra="ignore")


class OpenModel(LenientModel):
    """A value of which the API server stores unknown fields too: another version's, say."""

    model_config = ConfigDict(json_schema_extra={PRESERVE_UNKNOWN: True})


def _whole_seconds(value: object) -> object:
    """Read a time as Kubernetes stores it, so that it equals itself after a round trip."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime):
        return value
    return moment.astimezone(UTC).replace(microsecond=0)


Timestamp = Annotated[
    datetime,
    BeforeValidator(_whole_seconds),
    PlainSerializer(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%SZ"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment in UTC, in whole seconds: all that a Kubernetes time holds."""

Int32 = Annotated[int, Field(json_schema_extra={"format": "int32"})]
Int64 = Annotated[int, Field(json_schema_extra={"format": "int64"})]

Quantity = Annotated[
    str | int,
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": r"^[0-9]+(\.[0-9]+)?([EPTGMkm]|[EPTGMK]i)?$",
        }
    ),
]
"""A Kubernetes quantity, such as ``8Gi``."""

RawObject = Annotated[dict[str, Any], WithJsonSchema({"type": "object", PRESERVE_UNKNOWN: True})]
"""An object whose content another schema rules."""

EmbeddedResource = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {"type": "object", PRESERVE_UNKNOWN: True, "x-kubernetes-embedded-resource": True}
    ),
]
"""A Kubernetes object inside another one."""


NULLABLE: dict[str, JsonValue] = {"nullable": True}
"""For a field in which users' manifests say "unset" by null."""


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(LenientModel):
    """One aspect of the object's current state."""

    type: str = Field(max_length=316, description="Name of the condition, in CamelCase.")
    status: ConditionStatus = Field(description="Whether the condition holds.")
    reason: str = Field(
        max_length=1024, description="Why, as one CamelCase word that scripts can rely on."
    )
    message: str = Field(
        default="", max_length=32768, description="Why, as a sentence for a human."
    )
    last_transition_time: Timestamp = Field(description="When the status last changed.")
    observed_generation: Int64 | None = Field(
        default=None, description="Generation of the spec that the condition speaks about."
    )

    @property
    def is_true(self) -> bool:
        """Whether the condition holds."""
        return self.status is ConditionStatus.TRUE


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        json_schema_extra={
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["type"],
        }
    ),
]


class ObjectMeta(LenientModel):
    """The part of an object's metadata that we read."""

    name: str = ""
    namespace: str | None = None
    uid: str = ""
    generation: int = 0
    resource_version: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: Timestamp | None = None
    deletion_timestamp: Timestamp | None = None
    owner_references: tuple[dict[str, Any], ...] = ()


class Resource(LenientModel):
    """A Kubernetes object of one of our kinds; subclasses add ``spec`` and ``status``."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()

    def to_json(self) -> dict[str, Any]:
        """Return the manifest, without metadata and status that are not set."""
        manifest = super().to_json()
        metadata = manifest.pop("metadata")
        set_metadata = {key: value for key, value in metadata.items() if value}
        status = {key: value for key, value in manifest.pop("status", {}).items() if value}
        ordered = {"apiVersion": self.api_version, "kind": self.kind, "metadata": set_metadata}
        return ordered | manifest | ({"status": status} if status else {})

    @classmethod
    def parse(cls, manifest: Any) -> Self:
        """Read a manifest.

        Raises:
            pydantic.ValidationError: a field has the wrong shape, or is unknown in a spec.
        """
        return cls.model_validate(manifest)
