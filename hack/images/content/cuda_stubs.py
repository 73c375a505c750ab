"""Replace CUDA's libraries by stubs, in an environment that will never see a GPU.

PyTorch from the package index is linked to two gigabytes of CUDA and loads all of it at import,
whether there is a GPU or not. A library with the same name and the same symbols, of which none does
anything, satisfies the loader; without a GPU no symbol is ever called. What PyTorch does not load
itself is deleted. Usage: ``python cuda_stubs.py SITE_PACKAGES COMPILER...``.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

# Smaller ones stay what they are: PyTorch calls CUDA's runtime to learn that there is no GPU.
LARGE_BYTES = 8 << 20
# The upper bit of a symbol's version says "hidden".
VERSION_MASK = 0x7FFF


@dataclass(frozen=True)
class Symbol:
    """What a library exports; ``size_bytes`` counts for data only."""

    name: str
    size_bytes: int = 0
    version: str | None = None

    @property
    def source(self) -> str:
        """The symbol in C. A function says that it failed, should it ever be called."""
        if self.size_bytes:
            return f"char {self.name}[{self.size_bytes}];"
        return f"int {self.name}(void) {{ return 1; }}"


def needed(library: Path) -> set[str]:
    """Return the names of the libraries that one asks for."""
    with library.open("rb") as file:
        tags = ELFFile(file).get_section_by_name(".dynamic").iter_tags("DT_NEEDED")
        return {tag.needed for tag in tags}


def exported(library: Path) -> list[Symbol]:
    """Return what a library exports."""
    with library.open("rb") as file:
        return list(_exported(ELFFile(file)))


def _exported(elf: ELFFile) -> Iterator[Symbol]:
    indices = elf.get_section_by_name(".gnu.version")
    names = _version_names(elf)
    for number, symbol in enumerate(elf.get_section_by_name(".dynsym").iter_symbols()):
        if symbol["st_shndx"] in ("SHN_UNDEF", "SHN_ABS") or not symbol.name:
            continue
        index = indices.get_symbol(number)["ndx"] if indices else None
        yield Symbol(
            name=symbol.name,
            size_bytes=symbol["st_size"] if symbol["st_info"]["type"] == "STT_OBJECT" else 0,
            version=names.get(index & VERSION_MASK) if isinstance(index, int) else None,
        )


def _version_names(elf: ELFFile) -> dict[int, str]:
    section = elf.get_section_by_name(".gnu.version_d")
    found = section.iter_versions() if section else ()
    return {version["vd_ndx"]: next(iter(auxiliary)).name for version, auxiliary in found}


def version_script(symbols: Iterable[Symbol]) -> str:
    """Return the linker's script that gives symbols their versions; empty where there are none."""
    by_version: dict[str, list[str]] = {}
    for symbol in symbols:
        if symbol.version:
            by_version.setdefault(symbol.version, []).append(symbol.name)
    return "".join(
        f"{version} {{ global: {'; '.join(names)}; }};\n" for version, names in by_version.items()
    )


def write_stub(library: Path, compiler: Sequence[str]) -> None:
    """Replace a library by one that has its name and its symbols, and nothing else."""
    symbols = exported(library)
    script = version_script(symbols)
    with tempfile.TemporaryDirectory() as scratch:
        source, versions = Path(scratch, "stub.c"), Path(scratch, "versions")
        source.write_text("\n".join(symbol.source for symbol in symbols))
        versions.write_text(script)
        named = [f"-Wl,--version-script={versions}"] if script else []
        flags = ["-shared", "-fPIC", "-nostdlib", "-w", "-fno-builtin", "-s"]
        # A file that is linked elsewhere too, such as in an installer's cache, stays what it is.
        library.unlink()
        subprocess.run(
            [*compiler, *flags, f"-Wl,-soname,{library.name}", *named, str(source), "-o", library],
            check=True,
        )


def strip_cuda(site: Path, compiler: Sequence[str]) -> None:
    """Shrink the CUDA libraries below a ``site-packages`` folder."""
    loaded = set().union(*(needed(path) for path in (site / "torch/lib").glob("*.so*")))
    for library in sorted((site / "nvidia").glob("*/lib/*")):
        if library.name not in loaded:
            library.unlink()
        elif library.stat().st_size > LARGE_BYTES:
            write_stub(library, compiler)


if __name__ == "__main__":
    strip_cuda(Path(sys.argv[1]), sys.argv[2:])
