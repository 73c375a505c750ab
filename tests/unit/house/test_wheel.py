"""The wheel holds our packages side by side and nothing that hides a standard module."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PACKAGES = {
    "dgdr_api",
    "dgdr_bench",
    "dgdr_cli",
    "dgdr_kube",
    "dgdr_load",
    "dgdr_operator",
    "dgdr_webhooks",
    "dgdr_perf",
    "dgdr_planner",
    "dgdr_profiler",
    "dgdr_rehearsal",
}


@pytest.fixture(scope="module")
def names(root: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=root,
        capture_output=True,
        check=True,
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_has_no_operator_package(names: list[str]) -> None:
    assert [name for name in names if name.startswith("operator/")] == []


def test_the_wheel_holds_every_package_and_its_type_marker(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == PACKAGES
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(names)
