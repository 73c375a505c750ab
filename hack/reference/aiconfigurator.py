"""What AIConfigurator says: written down for the tests that compare us with it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from hack.cluster.paths import REPOSITORY
from hack.reference.environment import output_of, python_with

VERSION = "0.12.0"
HERE = Path(__file__).parent
CONFIGS = REPOSITORY / "tests/unit/dgdr_profiler/configs"
SHAPES = REPOSITORY / "tests/golden/models/shapes.yaml"
MAPPINGS = REPOSITORY / "tests/golden/models/aiconfigurator.json"
OPTIONS = REPOSITORY / "tests/golden/flags/options/trtllm.json"
# Models, backends, mappings.
LINES_AT_DEPTH = 4


def record_mappings() -> Path:
    """Ask about every model of our table of shapes."""
    names = sorted(yaml.safe_load(SHAPES.read_text()))
    python = python_with("aiconfigurator", f"aiconfigurator-core=={VERSION}")
    configs = (str(CONFIGS / f"{name}.json") for name in names)
    found = json.loads(output_of(python, HERE / "mappings.py", *configs))
    made = {"made": f"{datetime.now(UTC):%Y-%m-%d}", **found}
    MAPPINGS.write_text(in_lines(made) + "\n")
    return MAPPINGS


def record_options() -> Path:
    """Ask for the engine options that its templates write, by release of TensorRT-LLM."""
    # Its templates alone: what it would compute with is not needed.
    python = python_with("templates", f"aiconfigurator=={VERSION}", alone=True)
    found = json.loads(output_of(python, HERE / "options.py"))
    OPTIONS.parent.mkdir(exist_ok=True)
    OPTIONS.write_text(in_lines(found) + "\n")
    return OPTIONS


def in_lines(value: Any, depth: int = 0) -> str:
    """Return a record as JSON of a line for each mapping or release: a change is a few lines."""
    if depth == LINES_AT_DEPTH or not isinstance(value, dict):
        return json.dumps(value)
    inner = (f"{json.dumps(key)}: {in_lines(item, depth + 1)}" for key, item in value.items())
    pad = "\n" + " " * depth
    return "{" + pad + " " + f",{pad} ".join(inner) + pad + "}"
