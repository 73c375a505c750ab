"""Words that must not reach a reader: loose ends, one machine's paths, a registry's name."""

import re
from pathlib import Path

import pytest

# Written in pieces, so that this file does not name what it forbids.
REGISTRIES = [
    "docker" + ".io",
    "quay" + ".io",
    "gh" + "cr.io",
    "nv" + "cr.io",
    "registry.k8s" + ".io",
]
FORBIDDEN = {
    "a loose end": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"),
    "a registry's host": re.compile("|".join(re.escape(host) for host in REGISTRIES)),
    "a path of one machine": re.compile(r"(?<![\w.$}])/wor" + "k/"),
    "a note that is not in the repository": re.compile(r"\bfacts/|\bdesign\.md\b|\bfact[- ]sheet"),
}
# Module lists written by Go: hosts of source code, not of images.
GENERATED = {"go.mod", "go.sum"}
# Upstream's manifests, word for word: they have to be read as they are.
QUOTED = "tests/golden/api/manifests/"


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_committed_file_holds(what: str, root: Path, committed_files: list[Path]) -> None:
    hits = [
        f"{path.relative_to(root)}:{number}: {line.strip()[:100]}"
        for path in committed_files
        if path.name not in GENERATED and not str(path.relative_to(root)).startswith(QUOTED)
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if FORBIDDEN[what].search(line)
    ]
    assert hits == []


PROGRAMS = ("__main__.py", "farewell.py", "generate.py", "installed.py")


def test_only_the_command_line_prints(root: Path, source_files: list[Path]) -> None:
    printing = re.compile(r"(?<![\w.])print\(")
    hits = [
        f"{path.relative_to(root)}:{number}"
        for path in source_files
        if "dgdr_cli" not in path.parts and path.name not in PROGRAMS
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if printing.search(line)
    ]
    assert hits == []
