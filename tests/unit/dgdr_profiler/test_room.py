"""What engines are told of lengths and memory, so that they start on the GPUs that there are."""

from dataclasses import replace
from typing import Any

import pytest

from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_profiler.core.memory import longest_context
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.model_config import facts_of
from dgdr_profiler.core.room import STEP_TOKENS, Room
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines.args import value_of
from dgdr_profiler.engines.backend import BackendEngine
from dgdr_profiler.engines.registry import ENGINES
from dgdr_profiler.engines.sglang import CHUNK_TOKENS, STATIC_SHARE
from dgdr_profiler.engines.source import ModelSource
from dgdr_profiler.engines.vllm import MAX_CONTEXT, MAX_TOKENS
from support.engines import engine_of
from support.model_configs import model

MIB = 2**20
A10_MIB, H100_MIB, H200_MIB = 23_034, 81_559, 143_771
ISL, OSL = 4000, 1000
TP, DEP = Mapping.tensor, Mapping.data_expert


def engine(backend: Backend, name: str, gpu_mib: int) -> BackendEngine:
    room = Room(gpu_bytes=gpu_mib * MIB, facts=model(name), isl=ISL, osl=OSL)
    return ENGINES[backend](image="images.test/x:1.6.1", source=ModelSource(model="m"), room=room)


def context_tokens(name: str, gpu_mib: int, shape: Shape) -> dict[str, int | None]:
    graph = engine(Backend.VLLM, name, gpu_mib).template("q", shape)
    told = {c.name: value_of(c.args, MAX_CONTEXT) for c in graph.components[1:]}
    return {name: None if text is None else int(text) for name, text in told.items()}


@pytest.mark.parametrize(
    ("name", "mapping", "gpu_mib", "kv_gib"),
    [
        ("llama-3.1-8b", TP(1), A10_MIB, 3.97),
        ("qwen3-8b", TP(1), A10_MIB, 3.7),
        ("llama-3.1-70b", TP(2), H100_MIB, 3.3),
    ],
)
def test_vllm_promises_no_more_than_its_cache_holds(
    name: str, mapping: Mapping, gpu_mib: int, kv_gib: float
) -> None:
    facts = model(name)
    for shape in (Shape.pair(mapping), Shape(worker=mapping), Shape(decode=mapping)):
        (tokens,) = set(context_tokens(name, gpu_mib, shape).values())
        assert tokens is not None
        taken_gib = (facts.kv_bytes(tokens) or 0) / mapping.tp / 2**30
        assert 0.7 * kv_gib < taken_gib < 0.85 * kv_gib
        assert tokens % STEP_TOKENS == 0
        # The longest prompt of the curve, and the answer.
        assert tokens > 3 * ISL + OSL


@pytest.mark.parametrize("shape", [Shape.pair(TP(1)), Shape(worker=TP(1)), Shape(prefill=TP(1))])
def test_where_the_whole_context_fits_nothing_is_said(shape: Shape) -> None:
    made = engine(Backend.VLLM, "llama-3.1-8b", H200_MIB)
    assert set(context_tokens("llama-3.1-8b", H200_MIB, shape).values()) == {None}
    assert made.notes(made.template("q", shape), shape) == ()


def test_a_pair_promises_what_the_engine_with_less_room_can_keep() -> None:
    told = context_tokens("llama-3.1-70b", H100_MIB, Shape.pair(TP(4), TP(2)))
    alone = context_tokens("llama-3.1-70b", H100_MIB, Shape(worker=TP(2)))
    assert told == dict.fromkeys(("prefill", "decode"), alone["worker"])


def test_a_users_own_length_stays_and_is_not_remarked_on() -> None:
    made, shape = engine(Backend.VLLM, "llama-3.1-8b", A10_MIB), Shape(worker=TP(1))
    graph = made.template("q", shape)
    worker = engine_of(graph, "worker")
    assert "one of the model's whole context does not fit" in made.notes(graph, shape)[0]
    # As an override in v1alpha1 has it: behind what is generated.
    own = graph.with_component(worker.with_(args=(*worker.args, "--max-model-len", "8192")))
    again = made.with_shape(own, shape)
    assert value_of(engine_of(again, "worker").args, MAX_CONTEXT) == "8192"
    assert made.notes(again, shape) == ()


@pytest.mark.parametrize("share", ["0.85", "0.8"])
@pytest.mark.parametrize("replaced", [True, False], ids=["replaced", "appended"])
def test_a_share_that_a_user_sets_on_one_side_counts_for_both(share: str, replaced: bool) -> None:
    made, shape = engine(Backend.VLLM, "llama-3.1-8b", A10_MIB), Shape.pair(TP(1))
    graph = made.template("q", shape)
    prefill = engine_of(graph, "prefill")
    own = (*(() if replaced else prefill.args), "--gpu-memory-utilization", share)
    again = made.with_shape(graph.with_component(prefill.with_(args=own)), shape)
    told = {value_of(engine_of(again, n).args, MAX_CONTEXT) for n in ("prefill", "decode")}
    (tokens,) = (int(text or 0) for text in told)
    least_gib = 3.97 - (0.9 - float(share)) * A10_MIB / 1024
    assert 0.7 * least_gib < tokens * 131_072 / 2**30 < 0.85 * least_gib
    assert f"{tokens} tokens at most" in made.notes(again, shape)[0]
    assert made.with_shape(again, shape) == again


@pytest.mark.parametrize("text", ["0.98", "much", "nan", "-1"])
def test_one_sides_larger_share_makes_no_room_on_the_other(text: str) -> None:
    made, shape = engine(Backend.VLLM, "llama-3.1-8b", A10_MIB), Shape.pair(TP(1))
    graph = made.template("q", shape)
    decode = engine_of(graph, "decode")
    own = (*decode.args, "--gpu-memory-utilization", text)
    again = made.with_shape(graph.with_component(decode.with_(args=own)), shape)
    assert value_of(engine_of(again, "decode").args, MAX_CONTEXT) == "25856"


def test_a_larger_share_takes_a_length_back_that_is_not_needed() -> None:
    made, shape = engine(Backend.VLLM, "qwen3-8b", A10_MIB), Shape(worker=TP(1))
    graph = made.template("q", shape)
    worker = engine_of(graph, "worker")
    assert MAX_CONTEXT.name in worker.args
    own = (*worker.args, "--gpu-memory-utilization=0.98")
    again = made.with_shape(graph.with_component(worker.with_(args=own)), shape)
    assert MAX_CONTEXT.name not in engine_of(again, "worker").args


GEMMA_3_27B = {
    "architectures": ["Gemma3ForConditionalGeneration"],
    "model_type": "gemma3",
    "text_config": {
        "model_type": "gemma3_text",
        "num_hidden_layers": 62,
        "hidden_size": 5376,
        "intermediate_size": 21504,
        "num_attention_heads": 32,
        "num_key_value_heads": 16,
        "head_dim": 128,
        "sliding_window": 1024,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
    },
}
QWEN25_32B = {
    "num_hidden_layers": 64,
    "hidden_size": 5120,
    "intermediate_size": 27648,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "vocab_size": 152064,
    "max_position_embeddings": 32768,
    "sliding_window": 131072,
    "use_sliding_window": False,
    "tie_word_embeddings": False,
}


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(facts_of(GEMMA_3_27B), id="gemma-3-27b"),
        pytest.param(model("gpt-oss-120b"), id="gpt-oss-120b"),
        pytest.param(facts_of(QWEN25_32B), id="qwen2.5-32b"),
        pytest.param(replace(model("qwen3-32b"), kv_element_bytes=1.0), id="qwen3-32b fp8 KV"),
    ],
)
@pytest.mark.parametrize("shape", [Shape.pair(TP(1)), Shape(worker=TP(1))])
def test_what_perhaps_fits_is_left_whole(facts: ModelFacts, shape: Shape) -> None:
    room = Room(gpu_bytes=H100_MIB * MIB, facts=facts, isl=ISL, osl=OSL)
    made = replace(engine(Backend.VLLM, "llama-3.1-8b", H100_MIB), room=room)
    graph = made.template("q", shape)
    assert not any(MAX_CONTEXT.name in c.args for c in graph.components)


@pytest.mark.parametrize(
    "own",
    [
        ("--kv-cache-dtype", "fp8"),
        ("--quantization=fp8",),
        ("-q", "fp8"),
        ("--cpu-offload-gb", "8"),
        ("--kv_cache_memory_bytes", "9000000000"),
        ("--max-num-batched-tokens", "1024"),
    ],
)
def test_who_says_how_memory_is_used_is_told_no_length(own: tuple[str, ...]) -> None:
    made, shape = engine(Backend.VLLM, "llama-3.1-8b", A10_MIB), Shape.pair(TP(1))
    graph = made.template("q", shape)
    decode = engine_of(graph, "decode")
    assert MAX_CONTEXT.name in decode.args
    again = made.with_shape(graph.with_component(decode.with_(args=(*decode.args, *own))), shape)
    assert not any(MAX_CONTEXT.name in c.args for c in again.components)
    assert made.notes(again, shape) == ()


def test_a_length_is_no_longer_than_the_stated_positions() -> None:
    yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    facts = facts_of({**QWEN25_32B, "max_position_embeddings": 16_384, "rope_scaling": yarn})
    assert facts.context_length == 131_072
    room = Room(gpu_bytes=H100_MIB * MIB, facts=facts, isl=ISL, osl=OSL)
    assert room.context_tokens([TP(1)]) == 16_384


@pytest.mark.parametrize("bounds", [{"linear_attn_config": {"x": 1}}, {"sliding_window": 4096}])
def test_layers_that_nobody_counts_are_no_reason_for_a_length(bounds: dict[str, Any]) -> None:
    plain = {k: v for k, v in QWEN25_32B.items() if "sliding" not in k}
    plain |= {"max_position_embeddings": 131_072}
    room = Room(gpu_bytes=H100_MIB * MIB, facts=facts_of(plain), isl=ISL, osl=OSL)
    assert room.context_tokens([TP(1)]) is not None
    assert replace(room, facts=facts_of({**plain, **bounds})).context_tokens([TP(1)]) is None


def test_a_length_covers_the_request_whatever_the_margin_says() -> None:
    facts = model("llama-3.1-8b")
    room = Room(gpu_bytes=19_000 * MIB, facts=facts, isl=ISL, osl=OSL)
    assert (longest_context(facts, TP(1), 19_000 * MIB) or 0) < ISL + OSL
    assert room.context_tokens([TP(1)]) == 5632


@pytest.mark.parametrize("room", [Room(facts=model("llama-3.1-8b")), Room(gpu_bytes=2**34)])
def test_what_is_unknown_limits_nothing(room: Room) -> None:
    assert room.context_tokens([TP(1)]) is None
    assert room.step_tokens(32_768) == 32_768


@pytest.mark.parametrize(
    ("name", "mapping", "gpu_mib"),
    [
        ("llama-3.1-8b", TP(1), A10_MIB),
        ("llama-3.1-70b", TP(4), H100_MIB),
        ("deepseek-v3", DEP(8), H200_MIB),
    ],
)
def test_sglang_alone_for_prefill_has_room_for_its_weights_and_its_steps(
    name: str, mapping: Mapping, gpu_mib: int
) -> None:
    made = engine(Backend.SGLANG, name, gpu_mib)
    args = engine_of(made.template("q", Shape(prefill=mapping)), "prefill").args
    # Three times the prompt and the template, a whole number of pages, on each attention rank.
    assert value_of(args, CHUNK_TOKENS) == str(12_544 * mapping.ranks)
    assert 0.85 < float(value_of(args, STATIC_SHARE) or 0) <= 0.88


def test_long_steps_leave_sglang_less_for_weights_and_keys_and_values() -> None:
    room = Room(gpu_bytes=A10_MIB * MIB, facts=model("llama-3.1-8b"))
    assert room.static_share(TP(1), 12_544) == 0.88
    assert 0.7 < room.static_share(TP(1), 32_768) < 0.85
    assert Room().static_share(TP(1), 32_768) == 0.88


def test_a_users_share_of_sglang_stays() -> None:
    made, shape = engine(Backend.SGLANG, "llama-3.1-8b", A10_MIB), Shape(prefill=TP(1))
    graph = made.template("q", shape)
    own = ("--mem-fraction-static=0.7", "--chunked-prefill-size", "4096")
    graph = graph.with_component(engine_of(graph, "prefill").with_(args=own))
    args = engine_of(made.with_shape(graph, shape), "prefill").args
    assert value_of(args, STATIC_SHARE) == "0.7"
    assert value_of(args, CHUNK_TOKENS) == "4096"


def test_vllm_alone_for_prefill_has_steps_of_its_longest_prompt() -> None:
    made = engine(Backend.VLLM, "llama-3.1-8b", A10_MIB)
    args = engine_of(made.template("q", Shape(prefill=TP(1))), "prefill").args
    assert value_of(args, MAX_TOKENS) == "12544"
    short = replace(made, room=replace(made.room, isl=100))
    args = engine_of(short.template("q", Shape(prefill=TP(1))), "prefill").args
    assert value_of(args, MAX_TOKENS) == "8192"
