"""What a model is: from public configurations, checked against sizes that were published."""

import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dgdr_api.models.profiled_model import ProfiledModel
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.model import ModelFacts, merge
from dgdr_profiler.core.model_config import facts_of
from dgdr_profiler.core.stated_model import stated_facts
from dgdr_profiler.core.weights import folder_bytes, with_folder
from support.model_configs import NAMES, PUBLISHED, config_of, model

GOLDEN = Path(__file__).parents[2] / "golden" / "models" / "facts.yaml"
GIB = 2**30

# Layers of several kinds, whose widths no field tells.
UNCOUNTED = {"nemotron-super-49b"}
# GiB of the weights' files, where they are quantised in more than one way.
ON_DISK_GIB = {"gpt-oss-20b": 12.8, "gpt-oss-120b": 60.8, "kimi-k2.5": 554}


def derived(name: str) -> dict[str, Any]:
    facts = model(name)
    known = {key: value for key, value in asdict(facts).items() if value is not None}
    sizes = {
        "parameters": facts.parameters,
        "weight_bytes": facts.weight_bytes,
        "kv_bytes_per_token": facts.kv_bytes_per_token,
    }
    return {**known, **sizes, "unknown": list(facts.unknown)}


def test_every_configuration_gives_the_facts_of_the_golden() -> None:
    found = {name: derived(name) for name in NAMES}
    if os.environ.get("UPDATE_GOLDENS"):
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(yaml.safe_dump(found))
    assert found == yaml.safe_load(GOLDEN.read_text())


def test_every_configuration_has_a_published_size_or_says_that_it_cannot_be_counted() -> None:
    assert set(PUBLISHED) | UNCOUNTED == set(NAMES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_counted_parameters_are_those_that_were_published(name: str) -> None:
    counted = model(name).parameters
    assert counted == pytest.approx(PUBLISHED[name] * 1e9, rel=0.015)


@pytest.mark.parametrize("name", ON_DISK_GIB)
def test_weights_of_mixed_precision_are_as_large_as_their_files(name: str) -> None:
    assert model(name).weight_bytes == pytest.approx(ON_DISK_GIB[name] * GIB, rel=0.01)


@pytest.mark.parametrize("name", sorted(UNCOUNTED))
def test_layers_of_unknown_width_make_the_size_unknown_not_small(name: str) -> None:
    assert model(name).parameters is None
    assert "weights" in model(name).unknown


def test_only_layers_with_attention_keep_keys_and_values() -> None:
    # 6 of 52 layers, 2 heads of 128, keys and values, 2 bytes.
    assert model("nemotron-3-nano-30b").kv_bytes_per_token == 6 * 2 * 128 * 2 * 2


def test_latent_attention_keeps_one_compressed_vector_a_layer() -> None:
    assert model("deepseek-v3").kv_bytes_per_token == 61 * (512 + 64) * 2


def test_a_window_bounds_the_keys_and_values_of_its_layers() -> None:
    facts = model("gpt-oss-20b")
    layer = facts.kv_bytes_per_token
    assert layer is not None
    assert facts.kv_bytes(128) == 128 * layer
    assert facts.kv_bytes(8128) == 128 * layer + 8000 * layer // 2


def test_gemma_3_has_windows_where_its_file_does_not_say_so() -> None:
    text = {"model_type": "gemma3_text", "num_hidden_layers": 62, "sliding_window": 1024}
    facts = facts_of({"model_type": "gemma3", "text_config": text})
    assert (facts.windowed_layers, facts.window_tokens) == (52, 1024)
    assert facts.has_unlike_layers


def test_a_window_that_applies_nowhere_in_particular_bounds_nothing() -> None:
    facts = model("mistral-7b")
    assert facts.kv_bytes(20_000) == 20_000 * 131_072


@pytest.mark.parametrize(
    ("name", "tokens"),
    [
        pytest.param("llama-3.1-8b", 131_072, id="Llama 3's positions are stretched already"),
        pytest.param("deepseek-v3", 163_840, id="a factor stretches the original positions"),
        pytest.param("kimi-k2.5", 262_144, id="in a nested language model"),
        pytest.param("deepseek-v2-lite", 163_840, id="newer name of rope scaling"),
    ],
)
def test_context_length(name: str, tokens: int) -> None:
    assert model(name).context_length == tokens


def test_a_linear_factor_stretches_the_positions() -> None:
    config = {"num_hidden_layers": 1, "max_position_embeddings": 4096}
    assert facts_of({**config, "rope_scaling": {"type": "linear", "factor": 4}}).context_length == (
        16_384
    )


@pytest.mark.parametrize(
    "field", ["n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts"]
)
def test_a_mixture_is_known_by_its_fields_whatever_its_architecture_is_called(field: str) -> None:
    facts = facts_of({"architectures": ["NeverHeardOf"], "num_hidden_layers": 4, field: 8})
    assert facts.is_moe
    assert facts.experts == 8


@pytest.mark.parametrize("nested", ["text_config", "llm_config", "language_config"])
def test_a_language_model_inside_another_is_found(nested: str) -> None:
    config = {"architectures": ["Sees"], nested: config_of("llama-3.1-8b")}
    facts = facts_of(config)
    assert facts.parameters == model("llama-3.1-8b").parameters
    assert facts.architecture == "Sees"


def test_a_missing_field_is_unknown_and_named() -> None:
    config = {k: v for k, v in config_of("llama-3.1-8b").items() if k != "hidden_size"}
    facts = facts_of(config)
    assert facts.parameters is None
    assert facts.weight_bytes is None
    assert facts.unknown == ("weights", "head size", "hidden size")


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({}, "config.json has none of architectures, model_type, num_hidden_layers"),
        ({"tokenizer_class": "T"}, "state its sizes in the policy's spec.model"),
        ({"num_hidden_layers": "many"}, "num_hidden_layers is 'many'"),
        ({"hidden_size": -1}, "hidden_size is -1"),
        ({"hidden_size": True}, "hidden_size is True"),
        ({"hidden_size": 8, "quantization_config": {"bits": "four"}}, "bits is 'four'"),
        ([], "config.json holds list"),
    ],
)
def test_what_is_no_configuration_of_a_model_is_refused_by_field(config: Any, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        facts_of(config)


# What Hunyuan-A13B's file says; published: 80 billion parameters.
HUNYUAN = {
    "architectures": ["HunYuanMoEV1ForCausalLM"],
    "num_hidden_layers": 32,
    "hidden_size": 4096,
    "intermediate_size": 3072,
    "moe_intermediate_size": [3072] * 32,
    "moe_topk": [8] * 32,
    "num_experts": 64,
    "num_shared_expert": [1] * 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "attention_head_dim": 128,
    "vocab_size": 128167,
    "tie_word_embeddings": True,
}


def test_equal_numbers_for_each_layer_are_one_number() -> None:
    facts = facts_of(HUNYUAN)
    assert (facts.moe_intermediate, facts.experts_per_token) == (3072, 8)
    assert facts.shared_intermediate == 3072
    assert facts.parameters == pytest.approx(80.4e9, rel=0.01)


def test_a_width_for_each_layer_is_found_in_a_nested_language_model() -> None:
    # Gemma 3n's.
    text = {"num_hidden_layers": 35, "hidden_size": 2048, "intermediate_size": [16384] * 35}
    assert facts_of({"model_type": "gemma3n", "text_config": text}).intermediate == 16384


@pytest.mark.parametrize("widths", [[1536, 3072], [3072, None], ["wide", "wide"], [3072.0]])
def test_different_numbers_for_each_layer_are_unknown_and_refuse_nothing(widths: list[Any]) -> None:
    facts = facts_of({**HUNYUAN, "moe_intermediate_size": widths})
    assert facts.moe_intermediate is None
    assert "width of an expert" in facts.unknown


def test_layers_of_different_kv_heads_do_not_have_one_for_each_head() -> None:
    heads = {"num_attention_heads": 32, "num_key_value_heads": [8, 8, 4]}
    assert facts_of({**heads, "hidden_size": 4096}).kv_heads is None


def test_layers_with_experts_are_counted_one_by_one() -> None:
    # MiMo-V2-Flash's.
    config = {"num_hidden_layers": 48, "n_routed_experts": 256}
    assert facts_of({**config, "moe_layer_freq": [0] + [1] * 47}).moe_layers == 47
    assert facts_of({**config, "moe_layer_freq": 2}).moe_layers == 24


# What Granite 4.0 H Small's file says.
GRANITE = {
    "architectures": ["GraniteMoeHybridForCausalLM"],
    "num_hidden_layers": 40,
    "layer_types": [*["mamba"] * 36, *["attention"] * 4],
    "hidden_size": 4096,
    "intermediate_size": 768,
    "shared_intermediate_size": 1536,
    "num_local_experts": 72,
    "num_experts_per_tok": 10,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 100352,
}


def test_layers_without_attention_keep_no_keys_and_values() -> None:
    facts = facts_of(GRANITE)
    assert facts.kv_bytes_per_token == 4 * 2 * 8 * 128 * 2
    assert facts.shared_intermediate == 1536
    # What its Mamba layers weigh no field tells in a form that is known.
    assert facts.weight_bytes is None


@pytest.mark.parametrize("kind", ["attention", "full_attention", "chunked_attention"])
def test_layers_of_attention_alone_are_all_alike(kind: str) -> None:
    facts = facts_of({**GRANITE, "layer_types": [kind] * 40})
    assert (facts.attention_layers, facts.opaque_layers) == (None, None)


def test_an_interval_says_which_layers_have_attention_where_nothing_else_does() -> None:
    # Qwen3-Next's.
    facts = facts_of({"num_hidden_layers": 48, "full_attention_interval": 4})
    assert (facts.attention_layers, facts.opaque_layers) == (12, 36)
    every = facts_of({"num_hidden_layers": 48, "full_attention_interval": 1})
    assert (every.attention_layers, every.opaque_layers) == (None, None)


def test_a_state_space_without_its_sizes_is_not_counted() -> None:
    config = {k: v for k, v in config_of("nemotron-3-nano-30b").items() if k != "ssm_state_size"}
    assert facts_of(config).parameters is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9999) | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
KEYS = sorted({key for name in NAMES for key in config_of(name)} | {"text_config"})


@given(
    st.sampled_from(NAMES),
    st.dictionaries(st.sampled_from(KEYS), json_values, max_size=4),
    st.booleans(),
)
def test_any_json_gives_facts_or_our_error(name: str, changes: dict[str, Any], real: bool) -> None:
    try:
        facts = facts_of({**config_of(name), **changes} if real else changes)
    except InvalidRequest:
        return
    assert facts.parameters is None or facts.parameters >= 0
    assert facts.weight_bytes is None or facts.weight_bytes >= 0
    assert isinstance(facts.unknown, tuple)


def test_a_quantisation_in_a_file_of_its_own_counts() -> None:
    beside = {"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}}
    facts = facts_of(config_of("qwen3-8b"), beside)
    assert facts.quant_bits == 4.5
    assert facts.kv_bytes_per_token == 147_456 // 2


def test_a_user_states_a_model_without_any_file() -> None:
    facts = ModelFacts(stated_parameters=8_000_000_000, bytes_per_parameter=1, layers=32)
    assert facts.weight_bytes == 8_000_000_000
    assert facts.kv_bytes_per_token is None


def test_every_field_of_the_policys_block_becomes_a_fact_of_its_own() -> None:
    block = {name: 1 for name in ProfiledModel.model_fields}
    facts = stated_facts(ProfiledModel.model_validate(block))
    known = [f.name for f in fields(ModelFacts) if getattr(facts, f.name) is not None]
    assert len(known) == len(block)
    assert stated_facts(ProfiledModel()) == stated_facts(None) == ModelFacts()


def test_a_stated_model_is_as_large_as_its_file_says() -> None:
    stated = ProfiledModel.model_validate(
        {
            "parametersBillions": 30.53,
            "bytesPerParameter": 2,
            "layers": 48,
            "attentionHeads": 32,
            "kvHeads": 4,
            "headSize": 128,
            "hiddenSize": 2048,
            "experts": 128,
            "expertsPerToken": 8,
            "moeIntermediateSize": 768,
        }
    )
    facts, read = stated_facts(stated), model("qwen3-30b-a3b")
    assert facts.kv_bytes_per_token == read.kv_bytes_per_token
    assert facts.weight_bytes == 61_060_000_000
    assert facts.weights is not None
    assert read.weights is not None
    # The tables are shared out among the rest.
    assert facts.weights.expert_bytes == pytest.approx(read.weights.expert_bytes, rel=0.03)


def test_a_size_in_gib_stands_alone() -> None:
    facts = stated_facts(ProfiledModel.model_validate({"weightGiB": 16}))
    assert facts.weight_bytes == 16 * GIB
    assert merge(facts, model("llama-3.1-70b")).weight_bytes == 16 * GIB


def test_what_a_user_states_wins_field_by_field() -> None:
    read = with_folder(model("llama-3.1-8b"), {"model.safetensors": 16 * GIB})
    assert merge(ModelFacts(context_length=4096), read).weight_bytes == 16 * GIB
    stated = merge(ModelFacts(bytes_per_parameter=1), read)
    assert stated.weight_bytes == stated.parameters == model("llama-3.1-8b").parameters
    assert merge(ModelFacts(layers=2), None) == ModelFacts(layers=2)


@given(st.sampled_from(NAMES), st.sampled_from(NAMES))
def test_merging_with_everything_stated_forgets_what_was_read(stated: str, read: str) -> None:
    merged = merge(model(stated), model(read))
    for field in fields(ModelFacts):
        said = getattr(model(stated), field.name)
        assert getattr(merged, field.name) == (
            getattr(model(read), field.name) if said is None else said
        )


@pytest.mark.parametrize(
    ("sizes", "counted"),
    [
        pytest.param({"model.safetensors": 5, "tokenizer.json": 3}, 5, id="weights only"),
        pytest.param({"a.safetensors": 5, "pytorch_model.bin": 5}, 5, id="safetensors win"),
        pytest.param({"pytorch_model-1.bin": 5, "pytorch_model-2.bin": 4}, 9, id="shards"),
        pytest.param({"consolidated.00.pth": 5}, 5, id="consolidated alone"),
        pytest.param({"m-1.safetensors": 5, "consolidated.safetensors": 5}, 5, id="not both"),
        pytest.param({"original/consolidated.00.pth": 5, "m.safetensors": 4}, 4, id="a folder"),
        pytest.param({"original/m-1.safetensors": 5, "m.safetensors": 4}, 4, id="not below"),
        pytest.param({"weights/m.safetensors": 5}, 5, id="below alone"),
        pytest.param({"config.json": 5}, None, id="none"),
        pytest.param({"model.safetensors": 0, "model.bin": 4}, 4, id="an empty file"),
    ],
)
def test_weights_in_two_formats_are_counted_once(sizes: dict[str, int], counted: int) -> None:
    assert folder_bytes(sizes) == counted


def test_weights_of_single_precision_are_served_in_half() -> None:
    facts = facts_of({**config_of("gemma-3-1b"), "torch_dtype": "float32"})
    assert with_folder(facts, {"model.safetensors": 4000}).weight_bytes == 2000
    assert facts.weight_bytes == model("gemma-3-1b").weight_bytes
