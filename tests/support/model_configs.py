"""Configurations of public models, as their folders have them, for search and memory."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.model_config import facts_of

CONFIGS = Path(__file__).parents[1] / "unit" / "dgdr_profiler" / "configs"
NAMES = tuple(sorted(path.stem for path in CONFIGS.glob("*.json")))


# Billions of parameters as the makers publish them, without what predicts further tokens.
PUBLISHED = {
    "deepseek-r1": 671,
    "deepseek-v2-lite": 15.7,
    "deepseek-v3": 671,
    "gemma-2-2b": 2.61,
    "gemma-3-1b": 1.0,
    "glm-4.5-air": 106,
    "glm-5": 744,
    "gpt-oss-120b": 117,
    "gpt-oss-20b": 20.9,
    "kimi-k2": 1030,
    "kimi-k2.5": 1030,
    "llama-3.1-405b": 405,
    "llama-3.1-70b": 70.6,
    "llama-3.1-8b": 8.03,
    "llama-4-maverick": 400,
    "llama-4-scout": 109,
    "minimax-m2.5": 230,
    "mistral-7b": 7.24,
    "mixtral-8x22b": 141,
    "mixtral-8x7b": 46.7,
    "nemotron-3-nano-30b": 31.6,
    "nemotron-h-56b": 56,
    "phi-3-mini": 3.82,
    "phi-3.5-moe": 41.9,
    "qwen2.5-72b": 72.7,
    "qwen2.5-7b": 7.62,
    "qwen3-235b-a22b": 235,
    "qwen3-235b-a22b-fp8": 235,
    "qwen3-30b-a3b": 30.5,
    "qwen3-32b": 32.8,
    "qwen3-32b-fp8": 32.8,
    "qwen3-8b": 8.19,
    "qwen3-coder-480b": 480,
}


@cache
def config_of(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CONFIGS / f"{name}.json").read_text())
    return loaded


@cache
def model(name: str) -> ModelFacts:
    return facts_of(config_of(name))
