"""Where clusters keep what outlives a command."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold ``path`` alone; the kernel lets go when the holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def locked_cluster(name: str) -> Iterator[None]:
    """One ``up`` or ``down`` of a cluster at a time."""
    with locked(state_root() / f"{name}.lock"):
        yield


def write_atomically(path: Path, text: str, mode: int = 0o600) -> None:
    """Never let a reader see half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text)
    beside.chmod(mode)
    beside.replace(path)
