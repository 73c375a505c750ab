"""Graphs of engines against goldens; ``UPDATE_GOLDENS=1 pytest`` writes them anew."""

import os
from pathlib import Path
from typing import Any

import yaml

from dgdr_api import codec_v1alpha1
from dgdr_api.codec_v1beta1 import encode
from dgdr_api.graph import Component, Graph
from dgdr_profiler.core.render import to_yaml
from dgdr_profiler.core.shape import Mapping, Shape

GOLDEN = Path(__file__).parents[1] / "golden" / "engines"
TP2 = Mapping.tensor(2)
OVER_TWO_NODES = Mapping.data_expert(16, nodes=2)
MAPPINGS = (TP2, Mapping.tensor_expert(8), Mapping.data_expert(8), OVER_TWO_NODES)


def shapes(mapping: Mapping) -> dict[str, Shape]:
    return {
        "agg": Shape(worker=mapping),
        "pair": Shape.pair(mapping),
        "prefill": Shape(prefill=mapping),
        "decode": Shape(decode=mapping),
    }


def check(graph: Graph, name: str) -> None:
    """Compare with a golden in v1beta1; the same comes back from v1alpha1, without a note."""
    manifest = encode(graph)
    _compare(manifest, GOLDEN / f"{name}.yaml")
    again = codec_v1alpha1.decode(codec_v1alpha1.encode(graph))
    assert encode(again) == manifest


def check_v1alpha1(graph: Graph, name: str) -> None:
    """Compare with a golden in v1alpha1."""
    _compare(codec_v1alpha1.encode(graph), GOLDEN / "v1alpha1" / f"{name}.yaml")


def _compare(manifest: dict[str, Any], file: Path) -> None:
    if os.environ.get("UPDATE_GOLDENS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(to_yaml([manifest]))
    assert manifest == yaml.safe_load(file.read_text())


def engine_of(graph: Graph, name: str = "decode") -> Component:
    found = graph.component(name)
    assert found is not None
    return found
