"""Write the CRDs: ``python -m dgdr_api.generate DIRECTORY...``.

The only place of this package that touches files. Each directory gets one file per kind, and the
one beside it, ``DIRECTORY-beside``, those of mode Beside: who applies or waits for ``crds/`` as a
whole gets no more than mode Standalone has. Files of kinds that are gone are removed.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml

from dgdr_api.catalog import CRDS, CRDS_BESIDE
from dgdr_api.crd import Crd, render

BESIDE = "-beside"
HEADER = "# Generated from operator/dgdr_api by `make generate`. Do not edit.\n"


class _Dumper(yaml.SafeDumper):
    """Writes repeated values out: an anchor in a CRD helps nobody."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def text(crd: Crd) -> str:
    """Return the content of a CRD's file."""
    body = yaml.dump(render(crd), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
    return f"{HEADER}{body}"


def files(crds: Iterable[Crd] = CRDS) -> dict[str, str]:
    """Return all files: name to content."""
    return {f"{crd.group}_{crd.plural}.yaml": text(crd) for crd in crds}


def write(directory: Path) -> None:
    """Make the directory hold exactly the generated files; files of others stay."""
    _write(directory, files())
    _write(directory.with_name(f"{directory.name}{BESIDE}"), files(CRDS_BESIDE))


def _write(directory: Path, wanted: Mapping[str, str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for path in directory.glob("*.yaml"):
        if path.name not in wanted and path.read_text(encoding="utf-8").startswith(HEADER):
            path.unlink()
    for name, content in wanted.items():
        (directory / name).write_text(content, encoding="utf-8")


def main(arguments: Sequence[str]) -> int:
    """Write into each directory that is named."""
    if not arguments:
        print("usage: python -m dgdr_api.generate DIRECTORY...", file=sys.stderr)
        return 2
    for argument in arguments:
        write(Path(argument))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
