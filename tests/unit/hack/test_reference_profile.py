import hashlib
import zipfile
from pathlib import Path

import pytest

from hack import reference_profile as fetched
from hack.reference_profile import FILES, INSIDE, WrongContent, extract, reference_profile


def wheel(folder: Path, content: bytes) -> tuple[Path, str]:
    path = folder / "data.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in FILES:
            archive.writestr(f"{INSIDE}/{name}", content)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_two_files_are_fetched_once() -> None:
    folder = reference_profile()
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == set(FILES)
    assert reference_profile() == folder


def test_another_wheel_is_refused(tmp_path: Path) -> None:
    path, found = wheel(tmp_path, b"other")
    with pytest.raises(WrongContent, match=f"data.whl has sha256 {found}, expected 83f7687"):
        extract(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_file_in_the_wheel_is_refused(tmp_path: Path) -> None:
    path, found = wheel(tmp_path, b"other")
    with pytest.raises(WrongContent, match=r"raw_data\.npz has sha256"):
        extract(path, tmp_path / "out", wheel_sha256=found)
    assert not (tmp_path / "out").exists()


def test_a_damaged_cache_is_not_used(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(b"half a file")
    assert not fetched._is_complete(tmp_path)
