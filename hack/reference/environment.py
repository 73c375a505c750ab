"""Environments of programs that are no dependency of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from hack.cluster.paths import cache_root, locked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HERE = os.path.dirname(__file__)
# No hub is asked for a model; what is not there is an error at once.
OFFLINE = {"HF_HUB_OFFLINE": "1"}
INSTALL_TIMEOUT_S = 1800
RUN_TIMEOUT_S = 900


def python_with(name: str, *requirements: str) -> Path:
    """Return the interpreter of an environment with some packages, made once.

    Raises:
        subprocess.CalledProcessError: pip could not install them; its words are on stderr.
    """
    folder = cache_root() / "reference" / name
    python, done = folder / "bin/python", folder / "done"
    with locked(folder.with_suffix(".lock")):
        if not done.is_file():
            _run([sys.executable, "-m", "venv", "--clear", str(folder)], INSTALL_TIMEOUT_S)
            _run([str(python), "-m", "pip", "install", "--quiet", *requirements], INSTALL_TIMEOUT_S)
            done.touch()
    return python


def output_of(python: Path, script: Path, *arguments: str) -> str:
    """Return what a script prints, run by an interpreter that has none of our packages.

    Raises:
        subprocess.CalledProcessError: it failed; its words are on stderr.
    """
    return _run([str(python), "-I", str(script), *arguments], RUN_TIMEOUT_S)


def _run(command: Sequence[str], timeout_s: float) -> str:
    environment = {**os.environ, **OFFLINE}
    return subprocess.run(
        command, check=True, timeout=timeout_s, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
