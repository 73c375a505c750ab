"""What determines an image: its part of the Dockerfile, the files it copies, its base."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from hack.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

_IGNORED = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


def files_below(root: Path, source: str) -> Iterator[tuple[str, Path]]:
    """Yield the files of a context path as (name in the context, path); no caches, no byte code."""
    top = root / source
    if not top.exists():
        raise ImageError(f"the Dockerfile copies {source}, which is not in {root}")
    for path in sorted([top] if top.is_file() else top.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and path.suffix != ".pyc" and not _IGNORED & set(name.split("/")):
            yield name, path


def context_files(
    root: Path, sources: Iterable[str], elsewhere: Mapping[str, Path]
) -> dict[str, Path]:
    """Map every name in the build context to its file.

    ``elsewhere`` names sources that are no part of the repository, such as compiled binaries.
    """
    found: dict[str, Path] = {}
    for source in sources:
        if source in elsewhere:
            found[source] = elsewhere[source]
        else:
            found.update(files_below(root, source))
    return found


def content_key(dockerfile: str, base: str, files: Mapping[str, Path]) -> str:
    """Hash everything that determines an image, and nothing that does not, such as times."""
    digest = hashlib.sha256()
    for text in (dockerfile, base):
        digest.update(f"{len(text)}:{text}".encode())
    for name, path in sorted(files.items()):
        executable = bool(path.stat().st_mode & 0o100)
        with path.open("rb") as content:
            inner = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{name}\0{executable}\0{inner}\n".encode())
    return digest.hexdigest()[:16]


def lay_out(files: Mapping[str, Path], folder: Path) -> None:
    """Copy the context into an empty folder: what is not copied cannot influence the build."""
    for name, path in files.items():
        copy = folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
