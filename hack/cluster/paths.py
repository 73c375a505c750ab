"""Where clusters keep what outlives a command."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

REPOSITORY = Path(__file__).resolve().parents[2]
TOOLS_SOURCE = Path(__file__).resolve().parent / "tools"


def cache_root() -> Path:
    """Content-keyed results that any cluster may use."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dgdr"


def state_root() -> Path:
    """One folder for each cluster."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "dgdr"


def home_of(name: str) -> Path:
    return state_root() / name


def lock_of(name: str) -> Path:
    return state_root() / f"{name}.lock"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``path`` alone; the kernel lets go when the holder dies. The holder may remove it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if not _is_at(path, handle):
                continue  # the one before us removed it, so it guards nothing any more
            yield
            return


def _is_at(path: Path, handle: TextIO) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle.fileno()))
    except FileNotFoundError:
        return False


@contextmanager
def locked_cluster(name: str) -> Iterator[None]:
    """One ``up`` or ``down`` of a cluster at a time."""
    with locked(lock_of(name)):
        yield


def write_atomically(path: Path, text: str) -> None:
    """Never let a reader see half a file, nor anybody else any of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.chmod(0o600)
    beside.replace(path)
