"""``kubectl dgdr convert``: manifests of one version as those of the other, without a cluster."""

import sys
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from dgdr_api.conversion import ALPHA, BETA, KINDS, NOTES, converted
from dgdr_api.conversion.unsaid import Unsaid, unsaid
from dgdr_api.reading import CodecError
from dgdr_api.yaml_documents import documents
from dgdr_cli.errors import Unreadable


class Version(StrEnum):
    """A version that a manifest can have."""

    ALPHA = "v1alpha1"
    BETA = "v1beta1"


Files = Annotated[list[str], typer.Argument(help="Files of manifests; - reads standard input.")]
To = Annotated[Version, typer.Option(help="Version that is wanted.")]


def convert(files: Files, to: To = Version.BETA) -> None:
    """Print manifests in the other version; what it cannot say goes in an annotation.

    Those in a List are converted, too; documents of other kinds are printed as they are.
    """
    made = [_in_version(one, file, to) for file in files for one in _documents(file)]
    sys.stdout.write(yaml.safe_dump_all(made, sort_keys=False, width=100))


def _documents(file: str) -> Iterator[Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text()
        yield from documents(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise Unreadable(f"{file}: {exc}") from exc


def _in_version(document: Any, file: str, to: Version) -> Any:
    if not isinstance(document, dict):
        raise Unreadable(f"{file}: a document is {document!r}, not an object")
    if _is_list(document):
        return _list_in_version(document, file, to)
    if document.get("kind") not in KINDS:
        return document
    try:
        made = converted(document, f"nvidia.com/{to}")
    except CodecError as exc:
        raise Unreadable(f"{file}: {exc}") from exc
    notes = [key for key in (made.get("metadata") or {}).get("annotations") or {} if key in NOTES]
    what = f"{made['kind']} {(made.get('metadata') or {}).get('name', '')}"
    if notes:
        print(f"{what}: what {to} cannot say is kept in {', '.join(notes)}", file=sys.stderr)
    if to is Version.BETA:
        found = unsaid(document) if document.get("apiVersion") == ALPHA else Unsaid()
        for path in found.paths:
            print(f"{what}: {path}: kept, without effect", file=sys.stderr)
    return made


def _is_list(document: dict[str, Any]) -> bool:
    items = document.get("items")
    listed = isinstance(items, list) and all(isinstance(one, dict) for one in items)
    return listed and str(document.get("kind")).endswith("List")


def _list_in_version(document: dict[str, Any], file: str, to: Version) -> dict[str, Any]:
    made = {**document, "items": [_in_version(one, file, to) for one in document["items"]]}
    # A List of kubectl's has a version of its own, v1.
    if document.get("apiVersion") in (ALPHA, BETA):
        made["apiVersion"] = f"nvidia.com/{to}"
    return made
