"""The one C program: PID 1 of the node and, in an image, of every pod's sandbox."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from hack.cluster import oci
from hack.cluster.errors import ClusterError
from hack.cluster.model import PAUSE_IMAGE
from hack.cluster.paths import cache_root, locked
from hack.cluster.tools import content_key

SOURCE = Path(__file__).with_name("init.c")
FLAGS = ("-Os", "-static", "-s", "-Wall", "-Werror")


def ensure() -> Path:
    """Return the folder that holds ``init`` and ``pause.tar``."""
    root = cache_root() / "pause"
    folder = root / content_key([SOURCE.read_bytes(), " ".join(FLAGS).encode()])
    if folder.is_dir():
        return folder
    with locked(root / "lock"):
        if not folder.is_dir():
            _build(folder)
    return folder


def _build(folder: Path) -> None:
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    program = unfinished / "init"
    done = subprocess.run(
        ["gcc", *FLAGS, "-o", str(program), str(SOURCE)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(f"gcc could not build {SOURCE}: {done.stderr.strip()[-500:]}")
    contents = {"pause": program.read_bytes()}
    oci.write_archive(unfinished / "pause.tar", PAUSE_IMAGE, contents, ["/pause"])
    unfinished.rename(folder)
