"""An image's key follows what is in it, and only that."""

import os
from pathlib import Path

import pytest

from hack.images import content
from hack.images.errors import ImageError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "package/__pycache__").mkdir(parents=True)
    (tmp_path / "package/module.py").write_text("X = 1\n")
    (tmp_path / "package/__pycache__/module.pyc").write_bytes(b"cached")
    (tmp_path / "LICENSE").write_text("free\n")
    return tmp_path


def key(tree: Path, dockerfile: str = "FROM x", base: str = "base") -> str:
    files = content.context_files(tree, ("LICENSE", "package"), {})
    return content.content_key(dockerfile, base, files)


def test_caches_are_no_content(tree: Path) -> None:
    names = list(content.context_files(tree, ("LICENSE", "package"), {}))
    assert names == ["LICENSE", "package/module.py"]


def test_the_key_ignores_times_and_caches(tree: Path) -> None:
    before = key(tree)
    os.utime(tree / "package/module.py", (1, 1))
    (tree / "package/__pycache__/other.pyc").write_bytes(b"more")
    assert key(tree) == before


def test_the_key_follows_content_names_modes_base_and_dockerfile(tree: Path) -> None:
    keys = {key(tree), key(tree, dockerfile="FROM y"), key(tree, base="other")}
    (tree / "package/module.py").write_text("X = 2\n")
    keys.add(key(tree))
    (tree / "package/module.py").chmod(0o755)
    keys.add(key(tree))
    (tree / "package/module.py").rename(tree / "package/renamed.py")
    keys.add(key(tree))
    assert len(keys) == 6


def test_a_source_may_lie_elsewhere(tree: Path) -> None:
    files = content.context_files(tree, ("bin/tool",), {"bin/tool": tree / "LICENSE"})
    content.lay_out(files, tree / "context")
    assert (tree / "context/bin/tool").read_text() == "free\n"


def test_a_missing_source_is_named(tree: Path) -> None:
    with pytest.raises(ImageError, match="copies nowhere, which is not in"):
        content.context_files(tree, ("nowhere",), {})
