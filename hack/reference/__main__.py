"""``python3 -m hack.reference``: AIConfigurator's mappings of the models in our table of shapes.

It writes the file that ``tests/unit/dgdr_profiler/test_search_beside_aiconfigurator.py`` reads.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from hack.cluster.paths import REPOSITORY
from hack.reference.environment import output_of, python_with

REQUIREMENT = "aiconfigurator-core==0.12.0"
SCRIPT = Path(__file__).with_name("mappings.py")
CONFIGS = REPOSITORY / "tests/unit/dgdr_profiler/configs"
SHAPES = REPOSITORY / "tests/golden/models/shapes.yaml"
# Models, backends, mappings.
LINES_AT_DEPTH = 4
RECORD = REPOSITORY / "tests/golden/models/aiconfigurator.json"


def made() -> dict[str, Any]:
    """Ask AIConfigurator about every model of the table."""
    names = sorted(yaml.safe_load(SHAPES.read_text()))
    python = python_with("aiconfigurator", REQUIREMENT)
    found = output_of(python, SCRIPT, *(str(CONFIGS / f"{name}.json") for name in names))
    return {"made": f"{datetime.now(UTC):%Y-%m-%d}", **json.loads(found)}


def in_lines(value: Any, depth: int = 0) -> str:
    """Return a record as JSON with a line for each mapping, so that a change is a few lines."""
    if depth == LINES_AT_DEPTH or not isinstance(value, dict):
        return json.dumps(value)
    inner = (f"{json.dumps(key)}: {in_lines(item, depth + 1)}" for key, item in value.items())
    pad = "\n" + " " * depth
    return "{" + pad + " " + f",{pad} ".join(inner) + pad + "}"


def main() -> None:
    RECORD.write_text(in_lines(made()) + "\n")
    print(RECORD.relative_to(REPOSITORY), file=sys.stderr)


if __name__ == "__main__":
    main()
