"""A base image without any registry: a minimal Debian from this machine's package mirror."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import TYPE_CHECKING

from hack.images.errors import ImageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SUITE = "bookworm"
PACKAGES = ("python3", "python3-venv", "ca-certificates")
# What a container never reads; half of the tree.
PRUNED = (
    "var/lib/apt/lists",
    "var/cache",
    "var/log",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "debootstrap",
)
IDENTITY = f"debootstrap {SUITE} {' '.join(PACKAGES)} without {' '.join(PRUNED)}"


def debian_mirror(sources: Iterable[str]) -> str:
    """Find the mirror that serves the suite's main section in the texts of apt's source files.

    Both of apt's formats are read. Comments are left out first: they often name snapshots.
    """
    for text in sources:
        kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        for paragraph in re.split(r"\n\s*\n", kept):
            found = _from_paragraph(paragraph) or _from_lines(paragraph)
            if found:
                return found
    raise ImageError(
        f"apt's sources name no mirror of Debian {SUITE}: a base image cannot be made here;"
        " install Docker, which pulls one"
    )


def _from_paragraph(paragraph: str) -> str | None:
    fields = dict(re.findall(r"^(\w[\w-]*):[ \t]*(.+)$", paragraph, re.MULTILINE))
    serves = SUITE in fields.get("Suites", "").split() and "main" in fields.get("Components", "")
    return fields["URIs"].split()[0] if serves and "URIs" in fields else None


def _from_lines(paragraph: str) -> str | None:
    line = re.compile(
        rf"^deb\s+(?:\[[^\]]*\]\s+)?(?P<uri>\S+)\s+{SUITE}\s+(?:\S+\s+)*main\b", re.MULTILINE
    )
    found = line.search(paragraph)
    return found["uri"] if found else None


def read_apt_sources(apt: Path) -> list[str]:
    """Return the texts of apt's source files."""
    single = [apt / "sources.list"]
    folder = sorted((apt / "sources.list.d").glob("*"))
    return [
        path.read_text()
        for path in (*single, *folder)
        if path.suffix in {".list", ".sources"} and path.is_file()
    ]


def make_tree(folder: Path, mirror: str) -> None:
    """Install the base system into ``folder`` (root only)."""
    done = subprocess.run(
        [
            "debootstrap",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            SUITE,
            str(folder),
            mirror,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ImageError(f"debootstrap failed:\n{(done.stdout + done.stderr)[-3000:]}")
    prune(folder)


def prune(folder: Path) -> None:
    """Empty the folders that no program in a container needs."""
    for name in PRUNED:
        for entry in (folder / name).glob("*") if (folder / name).is_dir() else ():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
