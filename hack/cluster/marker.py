"""``created-by-dgdr.json``: what this tool made, and how to tell it from anything else."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hack.cluster import paths
from hack.cluster.model import Tier
from hack.cluster.process import Process

if TYPE_CHECKING:
    from pathlib import Path

FILE = "created-by-dgdr.json"
NATIVE, KIND = "native", "kind"


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Written when a cluster is usable, removed with it. ``keeper`` and ``init``: native only."""

    name: str
    tier: Tier
    number: int
    backend: str
    context: str
    server: str
    authority_sha256: str
    bin_dir: str
    created_at: str
    keeper: Process | None = None
    init: Process | None = None


def write(home: Path, marker: Marker) -> None:
    paths.write_atomically(home / FILE, json.dumps(asdict(marker), indent=1) + "\n")


def read(home: Path) -> Marker | None:
    """None when there is no cluster, or one of a version that wrote other fields."""
    try:
        found = json.loads((home / FILE).read_text())
        return Marker(
            **found
            | {"tier": Tier(found["tier"])}
            | {who: Process(**found[who]) for who in ("keeper", "init") if found[who]}
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None
