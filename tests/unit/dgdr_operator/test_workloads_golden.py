"""Whole manifests: what a reviewer reads when a default changes.

``DGDR_WRITE_GOLDEN=1`` writes them anew.
"""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from dgdr_api.codec_v1beta1 import decode
from dgdr_operator.core.data_plane import DataPlane, Discovery
from dgdr_operator.core.workloads import render_workloads
from support.dgds import OWNER, PLANE

GOLDEN = Path(__file__).parents[2] / "golden" / "workloads"
WITH_SERVERS = DataPlane(
    discovery=Discovery.ETCD,
    request_plane="nats",
    event_plane="nats",
    nats_url="nats://nats:4222",
    etcd_endpoints="http://etcd:2379",
    model_express_url="http://express:8001",
    pull_secrets=("ours",),
    pre_stop_s=7,
)


@pytest.mark.parametrize(
    ("case", "plane"),
    [
        pytest.param("disaggregated", PLANE, id="defaults"),
        pytest.param("own-template", WITH_SERVERS, id="a user's own template, etcd, NATS"),
    ],
)
def test_a_graph_becomes(case: str, plane: DataPlane) -> None:
    manifest = yaml.safe_load((GOLDEN / f"{case}.dgd.yaml").read_text())
    workloads = render_workloads(decode(manifest), OWNER, plane)
    text = yaml.safe_dump_all(_plain(list(workloads.manifests)), sort_keys=False)
    golden = GOLDEN / f"{case}.workloads.yaml"
    if os.environ.get("DGDR_WRITE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()
    assert workloads.problems == ()


def _plain(value: object) -> Any:
    """Return what YAML can write: no string enums, and no two names for one list."""
    match value:
        case dict():
            return {str(key): _plain(child) for key, child in value.items()}
        case list() | tuple():
            return [_plain(child) for child in value]
        case str():
            return str(value)
        case _:
            return value
