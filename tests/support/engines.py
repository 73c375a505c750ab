"""Graphs of engines against goldens; ``UPDATE_GOLDENS=1 pytest`` writes them anew."""

import os
from pathlib import Path

import yaml

from dgdr_api.codec_v1beta1 import encode
from dgdr_api.graph import Component, Graph
from dgdr_profiler.core.render import to_yaml
from dgdr_profiler.core.shape import Mapping, Shape

GOLDEN = Path(__file__).parents[1] / "golden" / "engines"
TP2 = Mapping.tensor(2)
MAPPINGS = (
    TP2,
    Mapping.tensor_expert(8),
    Mapping.data_expert(8),
    Mapping.data_expert(16, nodes=2),
)


def shapes(mapping: Mapping) -> dict[str, Shape]:
    return {
        "agg": Shape(worker=mapping),
        "pair": Shape.pair(mapping),
        "prefill": Shape(prefill=mapping),
        "decode": Shape(decode=mapping),
    }


def check(graph: Graph, name: str) -> None:
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("UPDATE_GOLDENS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(to_yaml([encode(graph)]))
    assert encode(graph) == yaml.safe_load(file.read_text())


def engine_of(graph: Graph, name: str = "decode") -> Component:
    found = graph.component(name)
    assert found is not None
    return found
