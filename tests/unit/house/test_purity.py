"""What import contracts cannot see: a clock or a file reached through an allowed module."""

import ast
from pathlib import Path

import pytest

PURE = (
    "operator/dgdr_api",
    "planner/dgdr_perf",
    "operator/dgdr_operator/core",
    "operator/dgdr_webhooks/core",
    "planner/dgdr_planner/observe",
    "planner/dgdr_planner/forecast",
    "planner/dgdr_planner/size",
    "planner/dgdr_planner/limit",
    "planner/dgdr_planner/tell",
    "planner/dgdr_planner/policy.py",
    "planner/dgdr_planner/state.py",
    "planner/dgdr_planner/plan.py",
    "planner/dgdr_planner/ahead.py",
    "planner/dgdr_planner/gpus.py",
    "planner/dgdr_planner/decide.py",
    "planner/dgdr_planner/restart.py",
    "planner/dgdr_planner/turn.py",
    "profiler_job/dgdr_profiler/core",
)
CLOCKS = {"now", "today", "utcnow"}
# Writes the CRDs; everything else in the contract is data.
WRITES_FILES = {"operator/dgdr_api/generate.py"}


def calls(path: Path) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        match node:
            case ast.Call(func=ast.Attribute(attr=name)) if name in CLOCKS:
                found.append((node.lineno, name))
            case ast.Call(func=ast.Name(id=("open" | "print" | "input") as name)):
                found.append((node.lineno, name))
    return found


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_calls_no_clock_and_opens_no_file(root: Path, room: str) -> None:
    offences = [
        f"{path.relative_to(root)}:{line}: {name}()"
        for path in (sorted((root / room).rglob("*.py")) or [root / room])
        if str(path.relative_to(root)) not in WRITES_FILES
        for line, name in calls(path)
    ]
    assert offences == []


def test_a_clock_is_recognised(tmp_path: Path) -> None:
    impure = tmp_path / "impure.py"
    impure.write_text("from datetime import UTC, datetime\nSTARTED = datetime.now(UTC)\n")
    assert calls(impure) == [(2, "now")]
