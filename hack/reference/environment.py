"""Environments of programs that are no dependency of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from hack.cluster.paths import cache_root, locked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

# No hub is asked for a model; what is not there is an error at once.
OFFLINE = {"HF_HUB_OFFLINE": "1"}
INSTALL_TIMEOUT_S = 1800
RUN_TIMEOUT_S = 900
UV = (sys.executable, "-m", "uv")


def python_with(
    name: str,
    *requirements: str,
    instead: Iterable[str] = (),
    without: Iterable[str] = (),
    alone: bool = False,
) -> Path:
    """Return the interpreter of an environment with some packages, made once.

    Args:
        name: of its folder.
        requirements: packages.
        instead: requirements that take the place of what any package says of the same.
        without: packages that are left out, whoever wants them.
        alone: without what the packages require.

    Raises:
        subprocess.CalledProcessError: they could not be installed; the words are on stderr.
    """
    folder = cache_root() / "reference" / name
    python, done = folder / "bin/python", folder / "done"
    with locked(folder.parent / f"{name}.lock"):
        if not done.is_file():
            _run([*UV, "venv", "--quiet", "--clear", str(folder)], INSTALL_TIMEOUT_S)
            rules = {"overrides": instead, "excludes": without}
            for rule, packages in rules.items():
                (folder / rule).write_text("\n".join(packages) + "\n")
            given = [f"--{rule}={folder / rule}" for rule in rules]
            given += ["--no-deps"] if alone else []
            install = [*UV, "pip", "install", "--quiet", "--python", str(python), *given]
            _run([*install, *requirements], INSTALL_TIMEOUT_S)
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
