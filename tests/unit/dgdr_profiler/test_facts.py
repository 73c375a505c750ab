"""Lines and samples are as engines write them, of the releases that are named."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.models.worker_metadata import DynamoWorkerMetadata, WorkerMetadataSpec
from dgdr_profiler.core.candidate import CapacitySource
from dgdr_profiler.core.errors import CandidateFailed
from dgdr_profiler.core.ladder import judging_cells
from dgdr_profiler.core.model_config import facts_of
from dgdr_profiler.engines.facts import CapacityFacts, Said, capacity_of
from dgdr_profiler.engines.log_lines import rank_limits
from support.model_configs import model
from support.profiling import FACTS, demand, evidence_of


def metadata(**runtime: int) -> DynamoWorkerMetadata:
    card = {"context_length": 40960, "kv_cache_block_size": 128, "runtime_config": runtime}
    silent = {"context_length": 40960, "runtime_config": {}}
    cards = {"a": {"card_json": json.dumps(silent)}, "b": {"card_json": json.dumps(card)}}
    return DynamoWorkerMetadata.parse(
        {
            "apiVersion": "nvidia.com/v1alpha1",
            "kind": "DynamoWorkerMetadata",
            "metadata": {"name": "d-1"},
            "spec": {"data": {"model_cards": cards}},
        }
    )


V0 = """
INFO 08-22 15:27:25 llm_engine.py:196] # GPU blocks: 865, # CPU blocks: 327
"""
V0_CONCURRENCY = """
INFO 05-13 23:28:53 [executor_base.py:112] # cuda blocks: 33660, # CPU blocks: 0
INFO 05-13 23:28:53 [executor_base.py:117] Maximum concurrency for 4096 tokens per request: 131.48x
"""
V1 = """
INFO 11-04 10:23:20 [gpu_worker.py:298] Available KV cache memory: 10.12 GiB
INFO 11-04 10:23:22 [kv_cache_utils.py:1087] GPU KV cache size: 169,314 tokens
INFO [kv_cache_utils.py:1091] Maximum concurrency for 163,840 tokens per request: 1.03x
"""
V1_ONE_LINE = (
    "(EngineCore_DP0 pid=7) INFO 02-01 09:00:00 [kv_cache_utils.py:1310] GPU KV cache size: "
    "2,182,642 tokens, Maximum concurrency for 430,080 tokens per request: 5.07x (prefix caching)"
)
V1_HYBRID = """
INFO [kv_cache_utils.py:864] GPU KV cache size: 90,841 tokens
INFO [kv_cache_utils.py:868] Maximum concurrency for 131,072 tokens per request: 4.07x
"""
V1_SIZE_ONLY = "INFO GPU KV cache size: 559,232 tokens"
SGLANG = """
[2025-11-04 05:27:13 DP0 TP0 EP0] KV Cache is allocated. #tokens: 524288, KV size: 17.16 GB
"""
SGLANG_TWO_HALVES = "KV Cache is allocated. #tokens: 350257, K size: 0.21 GB, V size: 0.21 GB"
SGLANG_TYPE = "KV Cache is allocated. dtype: torch.bfloat16, #tokens: 350257, K size: 0.21 GB"
SGLANG_SUMMARY = """
[2025-02-07 12:25:38 TP0] KV Cache is allocated. #tokens: 1061980, KV size: 70.00 GB
[2025-02-07 12:25:38 TP3] max_total_num_tokens=1061980, chunked_prefill_size=8192, \
max_prefill_tokens=16384, max_running_requests=3319, context_len=163840
"""
TRTLLM = """
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 0.56 GiB for max tokens in paged KV cache (8224).
[TRT-LLM] [I] max_seq_len=8224, max_num_requests=64, max_num_tokens=8192, max_batch_size=64
[TensorRT-LLM][INFO] [MemUsageChange] Allocated 28.07 GiB for max tokens in paged KV cache (229984).
[TRT-LLM] [I] max_seq_len=131072, max_num_requests=2048, max_num_tokens=8192, max_batch_size=2048
"""
TRTLLM_OLD = "[MemUsageChange] Allocated 16.05 GiB for max tokens in paged KV cache (263008)"


@pytest.mark.parametrize(
    ("log", "tokens"),
    [
        pytest.param(V0, 865 * 16, id="vLLM 0.x, blocks alone"),
        pytest.param("block_size=32\n" + V0, 865 * 32, id="vLLM 0.x, blocks of another size"),
        pytest.param(V0_CONCURRENCY, 538542, id="vLLM 0.8, concurrency beside blocks"),
        pytest.param(V1, 169314, id="vLLM 0.11, two lines"),
        pytest.param(V1_ONE_LINE, 2182642, id="vLLM 0.18, one line, text behind it"),
        pytest.param(V1_HYBRID, 533463, id="vLLM, several kinds of attention"),
        pytest.param(V1_SIZE_ONLY, 559232, id="vLLM, size alone"),
        pytest.param(V1_SIZE_ONLY + "\n" + V1, 169314, id="vLLM, the last counts"),
        pytest.param(SGLANG, 524288, id="SGLang, MLA"),
        pytest.param(SGLANG_TWO_HALVES, 350257, id="SGLang, keys and values"),
        pytest.param(SGLANG_TYPE, 350257, id="SGLang, with the type"),
        pytest.param(SGLANG_SUMMARY, 1061980, id="SGLang, summary"),
        pytest.param(TRTLLM, 229984, id="TensorRT-LLM prints twice"),
        pytest.param(TRTLLM_OLD, 263008, id="TensorRT-LLM before 1.0"),
        pytest.param("", None, id="empty"),
        pytest.param("Maximum concurrency for 4096 tokens per request: ", None, id="cut off"),
        pytest.param("GPU KV cache size: 0 tokens", None, id="zero is not known"),
    ],
)
def test_every_wording_of_a_log_is_read(log: str, tokens: int | None) -> None:
    assert rank_limits(log).kv_tokens == tokens


@pytest.mark.parametrize(
    ("log", "batch", "context"),
    [
        pytest.param(SGLANG_SUMMARY, 3319, 163840, id="SGLang"),
        pytest.param(TRTLLM, 2048, 131072, id="TensorRT-LLM"),
        pytest.param("non-default args: {'max_num_seqs': 32}", 32, None, id="vLLM's arguments"),
        pytest.param(V1, None, None, id="not said"),
    ],
)
def test_a_log_may_say_batch_and_context_too(
    log: str, batch: int | None, context: int | None
) -> None:
    found = rank_limits(log)
    assert (found.batch, found.context_length) == (batch, context)


VLLM = (
    '# TYPE vllm:cache_config_info gauge\nvllm:cache_config_info{block_size="16",'
    'cache_dtype="auto",engine="%s",num_gpu_blocks="%s",sliding_window="None"%s} 1.0\n'
)
SGLANG_GAUGE = (
    'sglang:max_total_num_tokens{dp_rank="%s",engine_type="unified",'
    'model_name="m",tp_rank="0"} %s\n'
)
DYNAMO = 'dynamo_component_total_blocks{dp_rank="0",model="m"} 2048\n'


@pytest.mark.parametrize(
    ("metrics", "ranks", "tokens"),
    [
        pytest.param(VLLM % (0, 573, ""), None, 573 * 16, id="vLLM"),
        pytest.param(
            VLLM % (0, 62500, ',kv_cache_size_tokens="900000"'), None, 900_000, id="vLLM, tokens"
        ),
        pytest.param(VLLM % (0, "None", ""), None, None, id="vLLM does not know"),
        pytest.param(VLLM % (0, 573, "") + VLLM % (1, 570, ""), None, 2 * 570 * 16, id="two ranks"),
        pytest.param(VLLM % (0, 573, ""), 8, 8 * 573 * 16, id="one of eight ranks speaks"),
        pytest.param(SGLANG_GAUGE % (0, "262144.0"), None, 262144, id="SGLang"),
        pytest.param(
            SGLANG_GAUGE % (0, "6.0e4") + SGLANG_GAUGE % (1, "6.0e4"), None, 120_000, id="two ranks"
        ),
        pytest.param(SGLANG_GAUGE % (0, "NaN"), None, None, id="no number"),
        pytest.param("no metrics\n{}{}\n", None, None, id="not metrics at all"),
    ],
)
def test_the_engines_own_samples_are_read(
    metrics: str, ranks: int | None, tokens: int | None
) -> None:
    found = capacity_of(Said(metrics=metrics, ranks=ranks))
    assert found.max_kv_tokens == tokens
    assert found.source == (CapacitySource.METRICS if tokens else None)


@pytest.mark.parametrize("estimated", [None, 4096])
def test_an_engine_that_says_nothing_is_told_with_how_its_log_is_read(
    estimated: int | None,
) -> None:
    (note,) = capacity_of(Said(estimated_kv_tokens=estimated)).notes
    assert "profiling.readLogs: true" in note


def test_dynamos_blocks_need_their_size_and_come_after_the_engines_own_samples() -> None:
    size = metadata(total_kv_blocks=0)
    assert capacity_of(Said(metrics=DYNAMO)).max_kv_tokens is None
    assert capacity_of(Said(metrics=DYNAMO, metadata=size)).max_kv_tokens == 2048 * 128
    both = Said(metrics=DYNAMO + VLLM % (0, 573, ""), metadata=size)
    assert capacity_of(both).max_kv_tokens == 573 * 16


def test_what_a_worker_publishes_is_of_one_rank() -> None:
    told = {"total_kv_blocks": 2048, "max_num_seqs": 32}
    assert capacity_of(Said(metadata=metadata(**told))) == CapacityFacts(
        max_kv_tokens=2048 * 128,
        max_batch=32,
        context_length=40960,
        source=CapacitySource.METADATA,
    )
    eight = capacity_of(Said(metadata=metadata(**told, data_parallel_size=8)))
    assert (eight.max_kv_tokens, eight.max_batch) == (8 * 2048 * 128, 8 * 32)
    # A pod of two speaks for its own eight ranks only.
    sixteen = Said(metadata=metadata(**told, data_parallel_size=8), ranks=16)
    assert capacity_of(sixteen).max_kv_tokens == 16 * 2048 * 128


# Parts of the cards of mockers with 1024 blocks; 1.6 says 0 where it was given no --max-model-len.
CARD_1_0 = {
    "display_name": "model",
    "model_type": "Chat | Completions",
    "context_length": 32768,
    "kv_cache_block_size": 64,
    "runtime_config": {"total_kv_blocks": 1024, "max_num_seqs": 256, "data_parallel_size": 1},
}
CARD_1_6 = {
    **CARD_1_0,
    "context_length": 0,
    "worker_type": "decode",
    "needs": [],
    "runtime_config": {
        **{"context_length": 0, "total_kv_blocks": 1024, "max_num_seqs": 256},
        **{"data_parallel_size": 1, "runtime_data": {"output_replay_consumer": True}},
    },
}


@pytest.mark.parametrize(
    ("card", "context_length"),
    [
        pytest.param(CARD_1_0, 32768, id="Dynamo 1.0.2"),
        pytest.param(CARD_1_6, None, id="Dynamo 1.6.1"),
    ],
)
def test_the_cards_of_every_release_are_read(
    card: dict[str, Any], context_length: int | None
) -> None:
    written = metadata().model_copy(
        update={"spec": WorkerMetadataSpec(data={"model_cards": {"a": {"card_json": card}}})}
    )
    assert capacity_of(Said(metadata=written)) == CapacityFacts(
        max_kv_tokens=1024 * 64,
        max_batch=256,
        context_length=context_length,
        source=CapacitySource.METADATA,
    )


@pytest.mark.parametrize("log", [V1, SGLANG, TRTLLM])
def test_a_log_speaks_of_one_rank(log: str) -> None:
    one, eight = (capacity_of(Said(log=log, ranks=n)) for n in (1, 8))
    assert one.source is CapacitySource.LOG
    assert one.max_kv_tokens is not None
    assert eight.max_kv_tokens == 8 * one.max_kv_tokens


def test_the_first_source_that_knows_is_used_and_one_that_is_far_off_is_named() -> None:
    found = capacity_of(
        Said(
            metadata=metadata(total_kv_blocks=1792),
            metrics=VLLM % (0, 14336, ""),
            log="Allocated 0.56 GiB for max tokens in paged KV cache (8224).",
            estimated_kv_tokens=260_000,
        )
    )
    assert (found.max_kv_tokens, found.source) == (229_376, CapacitySource.METADATA)
    assert found.notes == (
        "the engine log says 8224 tokens of KV cache, the worker metadata 229376; the latter is "
        "used",
    )


def test_an_estimate_is_better_than_nothing_and_says_so() -> None:
    found = capacity_of(Said(estimated_kv_tokens=260_000, ranks=8))
    assert (found.max_kv_tokens, found.source) == (260_000, CapacitySource.MEMORY_MODEL)
    assert "the memory model estimates 260000" in found.notes[0]


# Gemma 3 27B in vLLM: blocks for 214,784 tokens, in seven groups of layers of which six have a
# window of 1024. A request of 5000 tokens takes 5000 of one group and 1040 of each of six: 19 fit.
# One of 131072 takes 131072 and, with what a step computes, 9232.
GEMMA_LOG = """
GPU KV cache size: 30,676 tokens
Maximum concurrency for 131,072 tokens per request: 1.15x
"""


def test_layers_that_keep_different_numbers_of_tokens_make_blocks_hold_less_than_they_say() -> None:
    said = Said(
        metadata=metadata(total_kv_blocks=1678),
        log=GEMMA_LOG,
        estimated_kv_tokens=19 * 5000,
        unlike_layers=True,
    )
    found = capacity_of(said)
    assert (found.max_kv_tokens, found.source) == (95_000, CapacitySource.MEMORY_MODEL)
    assert any("214784 tokens of KV cache, the memory model 95000" in note for note in found.notes)
    assert capacity_of(replace(said, unlike_layers=False)).max_kv_tokens == 214_784
    logged = capacity_of(replace(said, estimated_kv_tokens=None))
    assert (logged.max_kv_tokens, logged.source) == (150_732, CapacitySource.LOG)


def test_layers_are_unlike_by_window_or_state() -> None:
    assert model("gpt-oss-20b").has_unlike_layers
    assert model("nemotron-3-nano-30b").has_unlike_layers
    assert not model("llama-3.1-8b").has_unlike_layers
    assert not model("minimax-m2.5").has_unlike_layers
    assert not model("mistral-7b").has_unlike_layers


@pytest.mark.parametrize(
    "said",
    [
        {"attn_layer_period": 8},
        {"linear_attn_config": {"full_attn_layers": [4]}},
        {"attn_type_list": [0, 0, 1]},
        {"mamba_d_state": 256},
    ],
)
def test_hybrids_that_say_it_in_their_own_words_are_unlike(said: dict[str, Any]) -> None:
    assert facts_of({"num_hidden_layers": 32, **said}).has_unlike_layers


def test_layers_of_their_own_widths_are_alike() -> None:
    blocks = [{"attention": {"no_op": True}}, {"attention": {"n_heads_in_group": 8}}]
    facts = facts_of({"num_hidden_layers": 2, "block_configs": blocks})
    assert facts.attention_layers == 1
    assert not facts.has_unlike_layers


def test_the_lowest_limit_of_batch_and_context_holds() -> None:
    found = capacity_of(Said(metadata=metadata(total_kv_blocks=8, max_num_seqs=256), log=TRTLLM))
    assert (found.max_batch, found.context_length) == (256, 40960)


def test_nothing_said_is_an_error_in_words_and_no_empty_sweep() -> None:
    found = capacity_of(Said())
    assert (found.max_kv_tokens, found.source) == (None, None)
    assert "nothing says how many tokens the KV cache holds" in found.notes[0]
    silent = replace(FACTS, max_kv_tokens=found.max_kv_tokens)
    with pytest.raises(
        CandidateFailed, match=r"does not say how many tokens .*profiling\.readLogs: true"
    ):
        judging_cells(demand(), evidence_of(facts=silent))
