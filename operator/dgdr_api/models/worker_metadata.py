"""DynamoWorkerMetadata: what a Dynamo pod tells the others about itself.

Dynamo's workers write one object each, named like the pod and owned by it. We only read it: the
model card inside says how many KV blocks the engine really has.
"""

from typing import Any, Literal

from pydantic import AliasPath, Field, ValidationError

from dgdr_api.models.base import LenientModel, RawObject, Resource


class WorkerMetadataSpec(LenientModel):
    """What the worker publishes."""

    data: RawObject = Field(
        description="endpoints, model_cards and event_channels, as Dynamo writes them."
    )


class DynamoWorkerMetadata(Resource):
    """Endpoints and model cards of one Dynamo pod, written by the pod itself."""

    api_version: Literal["nvidia.com/v1alpha1"] = "nvidia.com/v1alpha1"
    kind: Literal["DynamoWorkerMetadata"] = "DynamoWorkerMetadata"
    spec: WorkerMetadataSpec = Field(description="What the worker publishes.")

    def cards(self) -> tuple["ModelCard", ...]:
        """Return the model cards; a card that cannot be read is left out."""
        entries = self.spec.data.get("model_cards")
        values = entries.values() if isinstance(entries, dict) else ()
        cards = (_card(entry) for entry in values)
        return tuple(card for card in cards if card is not None)


def _runtime(key: str) -> Any:
    return Field(default=None, validation_alias=AliasPath("runtime_config", key))


class ModelCard(LenientModel):
    """The part of a model card that sizing needs; ``None`` where the worker did not say."""

    display_name: str = Field(default="", validation_alias="display_name")
    context_length: int | None = Field(default=None, validation_alias="context_length")
    kv_block_tokens: int | None = Field(default=None, validation_alias="kv_cache_block_size")
    kv_blocks: int | None = _runtime("total_kv_blocks")
    max_num_seqs: int | None = _runtime("max_num_seqs")
    max_num_batched_tokens: int | None = _runtime("max_num_batched_tokens")
    data_parallel_size: int | None = _runtime("data_parallel_size")

    @property
    def kv_capacity_tokens(self) -> int | None:
        """Tokens that the KV cache holds, or ``None`` when the card does not say."""
        if self.kv_blocks is None or self.kv_block_tokens is None:
            return None
        return self.kv_blocks * self.kv_block_tokens


def _card(entry: Any) -> ModelCard | None:
    """Read one entry of ``model_cards``; the card itself is JSON in a string, or an object."""
    card = entry.get("card_json") if isinstance(entry, dict) else None
    try:
        if isinstance(card, str):
            return ModelCard.model_validate_json(card)
        return ModelCard.model_validate(card)
    except ValidationError:
        return None
