"""Graphs of engines against goldens; ``UPDATE_GOLDENS=1 pytest`` writes them anew."""

import os
from pathlib import Path
from typing import Any

import yaml

from dgdr_api.codec_v1beta1 import encode
from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_api.effective import EffectiveModelCache
from dgdr_api.graph import Component, Graph
from dgdr_api.graph_v1alpha1 import write_graph
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.releases import Release
from dgdr_profiler.core.render import to_yaml
from dgdr_profiler.core.room import Room
from dgdr_profiler.core.shape import Mapping, Shape
from dgdr_profiler.engines.registry import ENGINES
from dgdr_profiler.engines.source import ModelSource
from support.model_configs import model

GOLDEN = Path(__file__).parents[1] / "golden" / "engines"
TP2 = Mapping.tensor(2)
OVER_TWO_NODES = Mapping.data_expert(16, nodes=2)
MAPPINGS = (TP2, Mapping.tensor_expert(8), Mapping.data_expert(8), OVER_TWO_NODES)
# Ranks and stages of each engine, beside the mappings of the golden files.
WIDER = (*MAPPINGS, Mapping(tp=2, pp=2, moe_tp=2), Mapping(tp=2, dp=4, moe_ep=8))
FOLDER = EffectiveModelCache(
    pvc_name="weights", mount_path="/opt/model-cache", model_path="/opt/model-cache/qwen"
)
# Of GPUs that hold no whole context: with every flag that is generated.
ROOM = Room(gpu_bytes=24 * 2**30, facts=model("llama-3.1-8b"), isl=4000, osl=1000)
SOURCES = {
    "hub": ModelSource(model="org/moe"),
    "claim": ModelSource(model="org/moe", cache=FOLDER, trust_remote_code=True),
}


def shapes(mapping: Mapping) -> dict[str, Shape]:
    return {
        "agg": Shape(worker=mapping),
        "pair": Shape.pair(mapping),
        "prefill": Shape(prefill=mapping),
        "decode": Shape(decode=mapping),
    }


def check(graph: Graph, name: str) -> None:
    """Compare with a golden in v1beta1; the same comes back from v1alpha1."""
    manifest = encode(graph)
    _compare(manifest, GOLDEN / f"{name}.yaml")
    assert converted(converted(manifest, ALPHA), BETA) == manifest


def check_v1alpha1(graph: Graph, name: str) -> None:
    """Compare with a golden in v1alpha1."""
    _compare(write_graph(graph), GOLDEN / "v1alpha1" / f"{name}.yaml")


def _compare(manifest: dict[str, Any], file: Path) -> None:
    if os.environ.get("UPDATE_GOLDENS"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(to_yaml([manifest]))
    assert manifest == yaml.safe_load(file.read_text())


def engine_of(graph: Graph, name: str = "decode") -> Component:
    found = graph.component(name)
    assert found is not None
    return found


def generated_lists(backend: str, release: Release) -> dict[str, tuple[str, ...]]:
    """Return what the workers of every shape are given in a release, by shape, role and source."""
    kind = ENGINES[Backend(backend)]
    engines = {
        where: kind(
            image="images.test/engine",
            source=source,
            release=release,
            room=ROOM,
            kv_router=True,
        )
        for where, source in SOURCES.items()
    }
    return {
        f"{mapping.id} {mode} {component.name} {where}": tuple(component.args)
        for mapping in WIDER
        for mode, shape in shapes(mapping).items()
        for where, engine in engines.items()
        for component in engine.template("q", shape).components
        if component.name != "frontend"
    }
