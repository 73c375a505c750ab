import json
from typing import Any

import pytest

from dgdr_api.models.worker_metadata import DynamoWorkerMetadata

CARD = {
    "display_name": "model",
    "context_length": 32768,
    "kv_cache_block_size": 16,
    "runtime_config": {"total_kv_blocks": 16384, "max_num_seqs": 256},
}


def published(data: dict[str, Any]) -> DynamoWorkerMetadata:
    return DynamoWorkerMetadata.parse(
        {
            "apiVersion": "nvidia.com/v1alpha1",
            "kind": "DynamoWorkerMetadata",
            "metadata": {"name": "pod", "ownerReferences": [{"kind": "Pod"}]},
            "spec": {"data": data},
        }
    )


@pytest.mark.parametrize("card", [CARD, json.dumps(CARD)], ids=["object", "text"])
def test_the_card_tells_the_capacity(card: Any) -> None:
    (read,) = published({"model_cards": {"k": {"card_json": card}}}).cards()
    assert read.kv_capacity_tokens == 262144
    assert (read.display_name, read.max_num_seqs) == ("model", 256)


@pytest.mark.parametrize("runtime", [{}, None, "none"])
def test_a_card_without_blocks_tells_nothing_rather_than_zero(runtime: Any) -> None:
    card = CARD | {"runtime_config": runtime}
    (read,) = published({"model_cards": {"k": {"card_json": card}}}).cards()
    assert read.kv_capacity_tokens is None


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"model_cards": None},
        {"model_cards": []},
        {"model_cards": {"k": 1}},
        {"model_cards": {"k": {"card_json": "{"}}},
        {"model_cards": {"k": {"card_json": {"context_length": "long"}}}},
    ],
)
def test_what_is_no_card_is_left_out(data: dict[str, Any]) -> None:
    assert published(data).cards() == ()
