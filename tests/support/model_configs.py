"""Configurations of public models, as their folders have them, for search and memory."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.model_config import facts_of

CONFIGS = Path(__file__).parents[1] / "unit" / "dgdr_profiler" / "configs"
NAMES = tuple(sorted(path.stem for path in CONFIGS.glob("*.json")))


@cache
def config_of(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((CONFIGS / f"{name}.json").read_text())
    return loaded


@cache
def model(name: str) -> ModelFacts:
    return facts_of(config_of(name))
