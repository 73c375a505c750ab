"""The import contracts hold, and each of them notices a planted breach.

A contract that nothing can break is worse than none: it is believed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE_ROOTS = ("operator", "planner", "profiler_job")


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    for source in SOURCE_ROOTS:
        shutil.copytree(root / source, tmp_path / source, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(root / ".importlinter", tmp_path)
    return tmp_path


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join(str(tree / source) for source in SOURCE_ROOTS)
    return subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": paths, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def plant(tree: Path, module: str, line: str) -> None:
    target = tree / module
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.read_text() if target.exists() else ""
    target.write_text(f"{before}\n{line}\n")


def test_the_contracts_hold(copy: Path) -> None:
    ran = lint_imports(copy)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        pytest.param(
            "operator/dgdr_operator/core/planted.py",
            "import dgdr_planner",
            "Packages import downwards only",
            id="operator reaches into the planner",
        ),
        pytest.param(
            "planner/dgdr_perf/planted.py",
            "import dgdr_load",
            "Packages import downwards only",
            id="a pure package reaches for the load drivers",
        ),
        pytest.param(
            "operator/dgdr_api/planted.py",
            "import dgdr_kube",
            "Packages import downwards only",
            id="the contract reaches upwards",
        ),
        pytest.param(
            "planner/dgdr_planner/observe/planted.py",
            "import dgdr_planner.adapters",
            "The planner's rooms",
            id="a pure room of the planner reaches for the adapters",
        ),
        pytest.param(
            "planner/dgdr_planner/forecast/planted.py",
            "import dgdr_planner.size.curves",
            "The planner's rooms",
            id="a step of a decision reaches for a later one",
        ),
        pytest.param(
            "planner/dgdr_planner/limit/planted.py",
            "import dgdr_planner.size.curves",
            "The planner's rooms",
            id="limits know how needs are sized",
        ),
        pytest.param(
            "planner/dgdr_planner/planted.py",
            "import dgdr_rehearsal",
            "Packages import downwards only",
            id="the controller takes its rehearsals along",
        ),
        pytest.param(
            "planner/dgdr_planner/tell/planted.py",
            "import prometheus_client",
            "Pure rooms",
            id="what is told opens a registry of metrics",
        ),
        pytest.param(
            "operator/dgdr_operator/passes/planted.py",
            "import dgdr_operator.handlers",
            "Inside a package",
            id="a pass reaches for the handlers",
        ),
        pytest.param(
            "operator/dgdr_operator/core/planted.py",
            "import dgdr_operator.passes.graph_pass",
            "Inside a package",
            id="a core reaches for a pass",
        ),
        pytest.param(
            "profiler_job/dgdr_profiler/core/planted.py",
            "import subprocess",
            "Pure rooms",
            id="a core starts a process",
        ),
        pytest.param(
            "planner/dgdr_perf/planted.py",
            "import time",
            "Pure rooms",
            id="a pure package reads the clock",
        ),
        pytest.param(
            "operator/dgdr_operator/core/planted.py",
            "import kopf",
            "Pure rooms",
            id="a core knows kopf",
        ),
    ],
)
def test_a_planted_import_breaks_its_contract(
    copy: Path, module: str, line: str, contract: str
) -> None:
    plant(copy, module, line)
    ran = lint_imports(copy)
    broken = [row for row in ran.stdout.splitlines() if " BROKEN" in row]
    assert ran.returncode == 1, ran.stdout + ran.stderr
    assert [row for row in broken if row.startswith(contract)], ran.stdout
