"""Shapes of 20 public models on three GPUs and three clusters, against a second calculation.

The second calculation shares nothing with the first but the configurations: published parameters,
bytes of a parameter by hand, and divisions written out. Where it leaves a GPU with less than
``UNSURE_GIB`` too much or too little it does not judge. ``UPDATE_GOLDENS=1 pytest`` writes the
golden anew.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.limits import SearchLimits
from dgdr_profiler.core.obstacles import ReasonCode
from dgdr_profiler.core.search import SearchSpace, search
from dgdr_profiler.core.shape import Mapping
from support.model_configs import PUBLISHED, config_of, model

GOLDEN = Path(__file__).parents[2] / "golden" / "models" / "shapes.yaml"
GIB = 2**30
# As nvidia-smi says of an L4, an H100 and an H200.
GPU_MIB = {24: 23_034, 80: 81_559, 141: 143_771}
# GPUs of a node, and of all nodes.
CLUSTERS = {"1 GPU": (1, 1), "8 GPUs": (8, 8), "16 GPUs on 2 nodes": (8, 16)}
ISL, OSL = 4000, 1000

UNSURE_GIB = 3.0
BESIDE_GIB = 2.5
# Layers with experts; a model that is not named has none.
MOE_LAYERS = {
    "deepseek-r1": 58,
    "deepseek-v2-lite": 26,
    "deepseek-v3": 58,
    "glm-4.5-air": 45,
    "gpt-oss-120b": 36,
    "gpt-oss-20b": 24,
    "kimi-k2": 60,
    "llama-4-maverick": 24,
    "llama-4-scout": 48,
    "mixtral-8x22b": 56,
    "mixtral-8x7b": 32,
    "phi-3.5-moe": 32,
    "qwen3-235b-a22b": 94,
    "qwen3-235b-a22b-fp8": 94,
    "qwen3-30b-a3b": 48,
}
DENSE = ("gemma-3-1b", "llama-3.1-405b", "llama-3.1-70b", "llama-3.1-8b", "phi-3-mini")
DENSE_TOO = ("qwen2.5-7b", "qwen3-32b")
MODELS = sorted((*MOE_LAYERS, *DENSE, *DENSE_TOO))
ONE_BYTE = {"deepseek-r1", "deepseek-v3", "kimi-k2", "qwen3-235b-a22b-fp8"}
# 4 bits and an eighth of a scale's 8 bits for 32.
EXPERT_BYTES = {"gpt-oss-120b": 4.25 / 8, "gpt-oss-20b": 4.25 / 8}


def space_of(name: str, gpu: int, cluster: str) -> SearchSpace:
    node, total = CLUSTERS[cluster]
    limits = SearchLimits(
        gpus_per_node=node,
        gpus_at_once=total,
        gpu_memory_bytes=GPU_MIB[gpu] * 2**20,
        isl=ISL,
        osl=OSL,
    )
    return search(limits, model(name))


def row(name: str, gpu: int, cluster: str) -> dict[str, Any] | str:
    try:
        space = space_of(name, gpu, cluster)
    except InvalidRequest as exc:
        return str(exc)
    refused: dict[str, list[str]] = {}
    for entry in space.infeasible:
        refused.setdefault(entry.code.value, []).append(entry.shape.label)
    return {"possible": [shape.label for shape in space.shapes], "refused": refused}


def test_every_shape_and_reason_is_that_of_the_golden() -> None:
    found = {
        name: {f"{gpu} GB": {c: row(name, gpu, c) for c in CLUSTERS} for gpu in GPU_MIB}
        for name in MODELS
    }
    if os.environ.get("UPDATE_GOLDENS"):
        GOLDEN.write_text(yaml.safe_dump(found, width=100))
    assert found == yaml.safe_load(GOLDEN.read_text())


def fields(name: str) -> dict[str, Any]:
    config = config_of(name)
    nested: dict[str, Any] = config.get("text_config", config)
    return nested


def expert_count(name: str) -> int:
    config = fields(name)
    return next(
        (
            config[k]
            for k in ("n_routed_experts", "num_local_experts", "num_experts")
            if k in config
        ),
        1,
    )


def weights_gib(name: str, kind: str, gpus: int) -> float:
    """Weights of one GPU: everything by the GPUs, but DEP repeats what is no expert."""
    config = fields(name)
    width = config.get("moe_intermediate_size", config["intermediate_size"])
    expert = 3 * config["hidden_size"] * width
    experts = MOE_LAYERS.get(name, 0) * expert_count(name) * expert
    rest = PUBLISHED[name] * 1e9 - experts
    size = 1 if name in ONE_BYTE else 2
    experts_bytes = experts * EXPERT_BYTES.get(name, size)
    rest_bytes = rest * size
    return (experts_bytes / gpus + rest_bytes / (1 if kind == "DEP" else gpus)) / GIB


def two_requests_gib(name: str, kind: str, gpus: int) -> float:
    config = fields(name)
    tokens = 2 * (ISL + OSL)
    if "kv_lora_rank" in config:
        vector = config["kv_lora_rank"] + config["qk_rope_head_dim"]
        return tokens * config["num_hidden_layers"] * vector * 2 / GIB
    heads = config["num_attention_heads"]
    size = config.get("head_dim", config["hidden_size"] // heads)
    on_gpu = config["num_key_value_heads"]
    if kind != "DEP":
        on_gpu = max(1, on_gpu // gpus)
    return tokens * config["num_hidden_layers"] * 2 * on_gpu * size * 2 / GIB


def spare_gib(name: str, kind: str, gpus: int, gpu: int) -> float:
    taken = weights_gib(name, kind, gpus) + two_requests_gib(name, kind, gpus) + BESIDE_GIB
    return 0.9 * GPU_MIB[gpu] / 1024 - taken


def is_cut(name: str, kind: str, gpus: int) -> bool:
    """Whether heads, experts and widths come out even."""
    config = fields(name)
    block = 128 if name in ONE_BYTE else 1
    dense = config.get("intermediate_size_mlp", config["intermediate_size"])
    expert = config.get("moe_intermediate_size", config["intermediate_size"])
    layers = config["num_hidden_layers"]
    even = True
    if kind in ("TP", "TEP"):
        heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
        even = even and heads % gpus == 0
        even = even and (kv_heads % gpus == 0 or gpus % kv_heads == 0 or "kv_lora_rank" in config)
        if MOE_LAYERS.get(name, 0) < layers and gpus > 1:
            even = even and dense % (gpus * block) == 0
        if config.get("n_shared_experts") and gpus > 1:
            even = even and expert * config["n_shared_experts"] % (gpus * block) == 0
    if kind in ("TEP", "DEP"):
        even = even and expert_count(name) % gpus == 0
    if kind == "TP" and name in MOE_LAYERS and gpus > 1:
        even = even and expert % (gpus * block) == 0
    return even


def kind_of(mapping: Mapping) -> str:
    return mapping.label.split("=")[0]


CASES = [(name, gpu, cluster) for name in MODELS for gpu in GPU_MIB for cluster in CLUSTERS]


@pytest.mark.parametrize(("name", "gpu", "cluster"), CASES)
def test_what_is_possible_fits_divides_and_keeps_the_budget(
    name: str, gpu: int, cluster: str
) -> None:
    node, total = CLUSTERS[cluster]
    try:
        space = space_of(name, gpu, cluster)
    except InvalidRequest:
        return
    for shape in space.shapes:
        mapping = shape.largest
        kind, gpus = kind_of(mapping), mapping.gpus
        assert is_cut(name, kind, gpus)
        assert spare_gib(name, kind, gpus, gpu) > -UNSURE_GIB
        assert shape.gpus <= total
        assert gpus <= node or gpus % node == 0
        assert (len(shape.mappings) == 2) == (2 * gpus <= total)


@pytest.mark.parametrize(("name", "gpu", "cluster"), CASES)
def test_what_fits_divides_and_keeps_the_budget_is_possible(
    name: str, gpu: int, cluster: str
) -> None:
    node, total = CLUSTERS[cluster]
    try:
        space = space_of(name, gpu, cluster)
    except InvalidRequest:
        space = SearchSpace(shapes=())
    found = {(kind_of(s.largest), s.largest.gpus) for s in space.shapes}
    context = fields(name).get("max_position_embeddings", 0)
    if context < ISL + OSL:
        assert found == set()
        return
    kinds = ("TP",) if name not in MOE_LAYERS else ("TEP", "DEP", "TP")
    for gpus in range(1, min(node, total) + 1):
        for kind in kinds[:2] if "kv_lora_rank" in fields(name) else kinds:
            label = "TP" if gpus == 1 else kind
            if is_cut(name, kind, gpus) and spare_gib(name, kind, gpus, gpu) > UNSURE_GIB:
                assert (label, gpus) in found


@pytest.mark.parametrize(("name", "gpu", "cluster"), CASES)
def test_each_reason_is_the_true_one(name: str, gpu: int, cluster: str) -> None:
    _, total = CLUSTERS[cluster]
    try:
        space = space_of(name, gpu, cluster)
    except InvalidRequest:
        return
    for entry in space.infeasible:
        mapping = entry.shape.largest
        kind, gpus = kind_of(mapping), mapping.gpus
        match entry.code:
            case ReasonCode.WEIGHTS_DO_NOT_FIT | ReasonCode.KV_DOES_NOT_FIT:
                assert spare_gib(name, kind, gpus, gpu) < UNSURE_GIB
            case ReasonCode.OVER_BUDGET:
                assert gpus > total
            case _:
                assert not is_cut(name, kind, gpus)


def test_few_shapes_are_too_close_for_the_second_calculation() -> None:
    spares = [
        abs(spare_gib(name, kind, gpus, gpu))
        for name in MODELS
        for gpu in GPU_MIB
        for gpus in (1, 2, 4, 8)
        for kind in (("TEP", "DEP") if name in MOE_LAYERS else ("TP",))
    ]
    assert sum(spare < UNSURE_GIB for spare in spares) < len(spares) / 15
