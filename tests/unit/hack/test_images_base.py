"""The base image comes from the mirror that this machine uses, whatever format apt has it in."""

from pathlib import Path

import pytest

from hack.images import base
from hack.images.errors import ImageError

DEB822 = """\
Types: deb
# http://snapshot.test/archive/debian/20250520T000000Z
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
"""
STRANGER = "deb https://packages.test/apt cloud-sdk-bookworm main\n"
ONE_LINE = """\
# deb http://snapshot.test/debian bookworm main
deb http://mirror.test/security bookworm-security main
deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian bookworm contrib main
"""


@pytest.mark.parametrize(
    "sources",
    [
        pytest.param([DEB822], id="deb822"),
        pytest.param([ONE_LINE], id="one line"),
        pytest.param([STRANGER, DEB822], id="a vendor's repository first"),
    ],
)
def test_the_plain_mirror_is_found(sources: list[str]) -> None:
    assert base.debian_mirror(sources) == "http://mirror.test/debian"


@pytest.mark.parametrize("sources", [[], [STRANGER], [DEB822.replace("bookworm ", "noble ")]])
def test_no_mirror_is_an_error_with_a_cure(sources: list[str]) -> None:
    with pytest.raises(ImageError, match=r"no mirror of Debian bookworm.*install Docker"):
        base.debian_mirror(sources)


def test_only_source_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(DEB822)
    (tmp_path / "sources.list.d/debian.sources.save").write_text("old")
    assert base.read_apt_sources(tmp_path) == [DEB822]


def test_pruning_empties_folders_and_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "usr/share/doc/python3").mkdir(parents=True)
    (tmp_path / "usr/share/doc/link").symlink_to("python3")
    (tmp_path / "usr/bin").mkdir()
    (tmp_path / "usr/bin/python3").write_text("")
    base.prune(tmp_path)
    assert list((tmp_path / "usr/share/doc").iterdir()) == []
    assert (tmp_path / "usr/bin/python3").exists()
