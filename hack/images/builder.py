"""Archives by content: what has not changed is not built again."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hack.cluster import tools
from hack.cluster.paths import REPOSITORY, cache_root, locked
from hack.images import content, docker, dockerfile
from hack.images.buildah import Buildah, say
from hack.images.errors import ImageError

TARGETS = ("operator", "profiler", "dynamo-mocker", "dynamo-mocker-1.0", "prometheus")
# Gigabytes, for `make real-engine` alone: built when they are named.
OPTIONAL_TARGETS = ("dynamo-vllm-cpu",)
REPOSITORY_PREFIX = "registry.test/dgdr"
PROMETHEUS_BINARY = "bin/prometheus"
# The present archive and the one before it, for a checkout that goes back and forth.
KEPT_ARCHIVES = 2


class Engine(Protocol):
    """Something that builds a target of the Dockerfile into an archive."""

    @property
    def base_identity(self) -> str: ...

    def build(self, target: str, context: Path, reference: str, output: Path) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image as it should be now: its inputs and where its archive lies once it is built."""

    target: str
    files: dict[str, Path]
    key: str
    archive: Path

    @property
    def reference(self) -> str:
        return reference_of(self.target)

    @property
    def is_built(self) -> bool:
        return self.archive.is_file()


def reference_of(target: str) -> str:
    """Return the reference that charts and manifests use; ``.test`` resolves nowhere.

    A release at the end of a target's name is in its tag, where who reads manifests looks for it.
    """
    name, _, release = target.rpartition("-")
    if release[:1].isdigit():
        return f"{REPOSITORY_PREFIX}/{name}:{release}-dev"
    return f"{REPOSITORY_PREFIX}/{target}:dev"


def cache_folder() -> Path:
    """Return the folder of the archives."""
    return cache_root() / "images"


def choose_engine() -> Engine:
    """Take Docker where a daemon answers, otherwise buildah."""
    return docker.Docker() if docker.answers() else Buildah(cache_root() / "buildah")


def inspect(target: str, engine: Engine, root: Path = REPOSITORY) -> Image:
    """Work out what ``target`` is made from now, and with it the name of its archive."""
    if target not in (known := (*TARGETS, *OPTIONAL_TARGETS)):
        raise ImageError(f"no target {target!r}; there are {', '.join(known)}")
    parsed = dockerfile.parse((root / "Dockerfile").read_text())
    sources = parsed.sources_of(target)
    files = content.context_files(root, sources, _compiled(sources))
    key = content.content_key(parsed.text_of(target), engine.base_identity, files)
    archive = cache_folder() / f"{target}-{key}.tar"
    return Image(target=target, files=files, key=key, archive=archive)


def build(target: str, engine: Engine, root: Path = REPOSITORY) -> Path:
    """Return the archive of ``target``, building it when its content has changed."""
    with locked(cache_folder() / "lock"):
        image = inspect(target, engine, root)
        if image.is_built:
            say(f"{target}: up to date, {image.archive.name}")
        else:
            _build(image, engine, root)
        image.archive.touch()
        _forget_old(target)
    return image.archive


def _build(image: Image, engine: Engine, root: Path) -> None:
    say(f"{image.target}: building")
    # Builds take turns, so whatever lies here is of one that was killed.
    for left in cache_folder().glob(".building-*"):
        shutil.rmtree(left)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".building-") as scratch:
        context, unfinished = Path(scratch, "context"), Path(scratch, "image.tar")
        content.lay_out({**image.files, "Dockerfile": root / "Dockerfile"}, context)
        engine.build(image.target, context, image.reference, unfinished)
        unfinished.rename(image.archive)
    took_s, size_mb = time.monotonic() - began, image.archive.stat().st_size / 1e6
    say(f"{image.target}: built in {took_s:.1f} s, {size_mb:.0f} MB")


def _compiled(sources: tuple[str, ...]) -> dict[str, Path]:
    """Compile the binaries that a context needs, once for each version of their go.mod."""
    if PROMETHEUS_BINARY not in sources:
        return {}
    return {PROMETHEUS_BINARY: tools.ensure(tools.PROMETHEUS) / "prometheus"}


def _forget_old(target: str) -> None:
    # Sixteen digits: `profiler-*` alone would match another target's archives one day.
    archives = sorted(
        cache_folder().glob(f"{target}-{'[0-9a-f]' * 16}.tar"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for path in archives[KEPT_ARCHIVES:]:
        path.unlink()
