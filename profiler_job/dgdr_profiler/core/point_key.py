"""The identity of a measurement: what determined its result, hashed.

A point whose key is known is never measured again, whichever pod, run or request measured it.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from dgdr_api.graph import Component, Graph
from dgdr_profiler.core.cells import Cell

KEY_CHARS = 16
"""64 bits: two of a million points meet with a chance of one in 10 million."""
PROCEDURE = 2
"""Raised when the way of measuring changes: points of another procedure say something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSubject:
    """What determines the speed of one measured role, besides its image.

    ``name`` is the component's: engines that are measured alone have one role, and may have equal
    arguments, but each has records of its own.
    ``pod`` is canonical JSON. It holds literal values of the environment, so it is hashed and never
    stored or shown; of Secrets and ConfigMaps it holds the names.
    """

    name: str
    role: str
    command: tuple[str, ...]
    gpus: int
    nodes: int = 1
    pod: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is measured, besides the images: the engines, the model and the GPU.

    ``data`` is the digest of what simulated engines are fed with. The prompts' seed is not part of
    it: every attempt draws new ones, because an engine that has seen a prompt before answers from
    its cache.
    """

    engines: tuple[EngineSubject, ...]
    model: str
    gpu_product: str | None
    data: str = ""


def engines_of(graph: Graph) -> tuple[EngineSubject, ...]:
    """Return what determines the speed of each engine of a graph."""
    return tuple(_engine(graph, c) for c in graph.components if c.role.serves_model)


def engine_key(subject: Subject, image_digest: str) -> str:
    """Return the identity of the engines that run: equal keys are equally fast."""
    return _digest({"procedure": PROCEDURE, "subject": asdict(subject), "image": image_digest})


@lru_cache(maxsize=4096)
def point_key(subject: Subject, image_digest: str, cell: Cell) -> str:
    """Return the key of one cell, measured on engines of those images."""
    return _digest({"engine": engine_key(subject, image_digest), "cell": asdict(cell)})


def _engine(graph: Graph, component: Component) -> EngineSubject:
    return EngineSubject(
        name=component.name,
        role=component.role.value,
        command=(*component.command, *component.args),
        gpus=component.gpus,
        nodes=component.nodes,
        pod=_json(dict(_of_pod(graph, component))),
    )


def _of_pod(graph: Graph, component: Component) -> Iterator[tuple[str, Any]]:
    yield "env", [dict(entry) for entry in (*graph.env, *component.env)]
    yield "envFrom", [dict(entry) for entry in component.env_from]
    yield "resources", component.container.get("resources") or {}
    yield "sharedMemory", component.shared_memory_size
    yield "volumes", [dict(entry) for entry in component.volumes]
    yield "mounts", [dict(entry) for entry in component.volume_mounts]
    yield "nodeSelector", component.pod.get("nodeSelector") or {}
    yield "affinity", component.pod.get("affinity") or {}


def _digest(value: Any) -> str:
    return hashlib.sha256(_json(value).encode()).hexdigest()[:KEY_CHARS]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
