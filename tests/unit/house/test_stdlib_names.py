"""A folder called ``operator`` is safe only as long as it is not a package.

With ``operator/__init__.py`` every interpreter that starts in the repository root would import our
folder instead of the standard library's module, and crash or, worse, look fine until it is
installed elsewhere.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def test_no_folder_hides_a_module_of_the_standard_library(root: Path) -> None:
    packages = [*root.glob("*/__init__.py"), *root.glob("tests/**/__init__.py")]
    hidden = [p for p in packages if p.parent.name in sys.stdlib_module_names]
    assert hidden == []


def test_no_test_folder_is_called_operator(root: Path) -> None:
    assert [p for p in (root / "tests").rglob("operator") if p.is_dir()] == []


@pytest.mark.parametrize("python_path", ["", "."], ids=["plainly", "with PYTHONPATH=."])
def test_an_interpreter_in_the_root_finds_the_real_operator(root: Path, python_path: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    if python_path:
        environment["PYTHONPATH"] = python_path
    ran = subprocess.run(
        [sys.executable, "-c", "import operator; print(operator.itemgetter(0)('ok'))"],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "o\n"), ran.stderr
