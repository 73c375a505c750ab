"""Build the Dockerfile's targets with Docker, where a daemon answers."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hack.images.errors import ImageError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Docker:
    """Docker with BuildKit; the base image is the Dockerfile's default."""

    @property
    def base_identity(self) -> str:
        """What the images' keys say about their base; the default is part of the Dockerfile."""
        return "docker"

    def build(self, target: str, context: Path, reference: str, output: Path) -> None:
        """Build ``target`` from ``context`` and save it as an archive."""
        _run("build", "--quiet", "--target", target, "--tag", reference, str(context))
        _run("save", "--output", str(output), reference)


def answers() -> bool:
    """A client without a daemon does not count."""
    if shutil.which("docker") is None:
        return False
    command = ["docker", "version", "--format", "{{.Server.Version}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(verb: str, *arguments: str) -> None:
    done = subprocess.run(["docker", verb, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"docker {verb} failed:\n{(done.stdout + done.stderr)[-4000:]}")
