"""Build the Dockerfile's targets with buildah: as root, without a daemon and without a registry."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from hack.cluster import packages
from hack.cluster.errors import ClusterError
from hack.images import archive, base
from hack.images.errors import ImageError

PROGRAMS = {"buildah": "buildah", "debootstrap": "debootstrap"}
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Where this machine may say which certificates it trusts, beside the usual file.
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")


@dataclass(frozen=True, slots=True)
class Buildah:
    """buildah with a store of its own, which holds the layers that later builds reuse."""

    store: Path

    @property
    def base_identity(self) -> str:
        """What the images' keys say about their base."""
        return base.IDENTITY

    def build(self, target: str, context: Path, reference: str, output: Path) -> None:
        """Build ``target`` from ``context`` into an OCI archive of uncompressed layers."""
        _require_programs()
        # What a killed build left behind; the store is ours, and builds take turns.
        self._run("rm", "--all")
        local = f"localhost/dgdr/{target}:dev"
        base_image = "scratch" if target == "prometheus" else self._base_image()
        self._run(
            "bud",
            "--isolation=chroot",
            "--network=host",
            "--layers",
            "--force-rm",
            "--pull-never",
            "--format=oci",
            *_certificates(),
            f"--build-arg=BASE_IMAGE={base_image}",
            f"--target={target}",
            f"--tag={local}",
            str(context),
        )
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=".blobs-") as blobs:
            self._run("push", "--quiet", "--disable-compression", "--format=oci", local,
                      f"dir:{blobs}")  # fmt: skip
            archive.pack(Path(blobs), reference, output)

    def _base_image(self) -> str:
        """Name the base image, made when no build has done so yet."""
        name = f"localhost/dgdr/base:{hashlib.sha256(base.IDENTITY.encode()).hexdigest()[:16]}"
        if not self._run("images", "--quiet", "--filter", f"reference={name}"):
            self._make_base(name)
        return name

    def _make_base(self, name: str) -> None:
        began = time.monotonic()
        mirror = base.debian_mirror(base.read_apt_sources(Path("/etc/apt")))
        with tempfile.TemporaryDirectory(dir=self.store, prefix=".base-") as scratch:
            tree, tar = Path(scratch, "tree"), Path(scratch, "base.tar")
            base.make_tree(tree, mirror)
            subprocess.run(["tar", "-C", str(tree), "-cf", str(tar), "."], check=True)
            container = self._run("from", "scratch")
            self._run("add", "--quiet", container, str(tar), "/")
            self._run("commit", "--quiet", "--rm", "--format=oci", container, name)
        say(f"base: Debian {base.SUITE} in {time.monotonic() - began:.0f} s")

    def _run(self, verb: str, *arguments: str) -> str:
        # buildah keeps the Dockerfile's cache mounts below TMPDIR.
        (self.store / "tmp").mkdir(parents=True, exist_ok=True)
        environment = os.environ | {"TMPDIR": f"{self.store}/tmp"}
        command = [
            "buildah",
            f"--root={self.store}/root",
            f"--runroot={self.store}/run",
            "--storage-driver=overlay",
            verb,
            *arguments,
        ]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            told = (done.stdout + done.stderr)[-4000:]
            raise ImageError(f"buildah {verb} failed with status {done.returncode}:\n{told}")
        return done.stdout.strip()


def _certificates() -> list[str]:
    """Let build steps trust what this machine trusts; a mount leaves nothing in the image."""
    named = [os.environ[name] for name in CERTIFICATE_VARIABLES if os.environ.get(name)]
    for path in (*map(Path, named), CERTIFICATES):
        if path.is_file():
            return [f"--volume={path}:{CERTIFICATES}:ro"]
    return []


def _require_programs() -> None:
    """Install what is missing from the distribution, or say what to install."""
    if os.geteuid() != 0:
        raise ImageError("building images without Docker needs root (chroot, overlay mounts)")
    try:
        packages.ensure(PROGRAMS)
    except ClusterError as exc:
        raise ImageError(str(exc)) from exc


def say(text: str) -> None:
    """Report progress; standard output is for results."""
    print(text, file=sys.stderr, flush=True)
