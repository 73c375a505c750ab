"""What all generated graphs share."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dgdr_api.graph import Component, Graph, Role
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.shape import Mapping as Spread
from dgdr_profiler.core.shape import Shape
from dgdr_profiler.engines.args import Args
from dgdr_profiler.engines.shell import read_args, write_args

FRONTEND = "frontend"
PREFILL = "prefill"
DECODE = "decode"
WORKER = "worker"

# A prompt is computed in one step, not in chunks, up to that many tokens: upstream's limit for a
# prefill engine that is measured alone, for each attention rank.
PREFILL_TOKENS = 32768

# An engine writes as much: compiled kernels, converted weights.
CONTAINER: Mapping[str, Any] = {"resources": {"requests": {"ephemeral-storage": "2Gi"}}}


class Mode(StrEnum):
    """What an engine does in its deployment."""

    AGGREGATED = "aggregated"
    """Prefill and decode, for users."""
    PREFILL = "prefill"
    """Prefill for a decode engine beside it."""
    DECODE = "decode"
    """Decode what a prefill engine beside it hands over."""
    PREFILL_ALONE = "prefill-alone"
    """Measured for its prefill."""
    DECODE_ALONE = "decode-alone"
    """Measured for its decoding."""

    @property
    def caches_prompts(self) -> bool:
        """Whether a router asks which prompts it has in its cache: it computes users' prompts."""
        return self in (Mode.AGGREGATED, Mode.PREFILL)

    @property
    def in_pair(self) -> bool:
        """Whether keys and values travel between this engine and another one."""
        return self in (Mode.PREFILL, Mode.DECODE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One engine of a shape; ``together`` are the mappings of all of them."""

    name: str
    role: Role
    mode: Mode
    mapping: Spread
    together: tuple[Spread, ...]


@dataclass(frozen=True, slots=True)
class Fitted:
    """An engine's arguments for a part of a shape, and the GPUs that they make it use."""

    args: Args
    gpus: int


Fit = Callable[[Args, Part], Fitted]


def parts_of(shape: Shape) -> tuple[Part, ...]:
    """Return the engines of a shape."""
    return tuple(_parts(shape))


def _parts(shape: Shape) -> Iterator[Part]:
    together = tuple(shape.mappings.values())
    if shape.worker is not None:
        yield Part(
            name=WORKER,
            role=Role.WORKER,
            mode=Mode.AGGREGATED,
            mapping=shape.worker,
            together=together,
        )
    pair = shape.prefill is not None and shape.decode is not None
    if shape.prefill is not None:
        yield Part(
            name=PREFILL,
            role=Role.PREFILL if pair else Role.WORKER,
            mode=Mode.PREFILL if pair else Mode.PREFILL_ALONE,
            mapping=shape.prefill,
            together=together,
        )
    if shape.decode is not None:
        yield Part(
            name=DECODE,
            role=Role.DECODE if pair else Role.WORKER,
            mode=Mode.DECODE if pair else Mode.DECODE_ALONE,
            mapping=shape.decode,
            together=together,
        )


def fitted(graph: Graph, shape: Shape, fit: Fit) -> Graph:
    """Return a graph whose engines are those of a shape."""
    for part in parts_of(shape):
        for worker in workers(graph, part.role):
            graph = graph.with_component(_fitted(worker, part, fit))
    return graph


def _fitted(worker: Component, part: Part, fit: Fit) -> Component:
    found = fit(read_args(worker), part)
    # A mapping of one node leaves several to the user, whose own ranks may need them.
    nodes = part.mapping.nodes if part.mapping.nodes > 1 else worker.nodes
    sized = worker.with_(nodes=nodes, gpus=math.ceil(found.gpus / nodes))
    return write_args(sized, found.args)


def workers(graph: Graph, role: Role) -> tuple[Component, ...]:
    """Return the components of a role; a graph without any cannot be mapped.

    Raises:
        InvalidRequest: an override took the role away.
    """
    found = graph.with_role(role)
    if not found:
        raise InvalidRequest(f"the deployment has no component of type {role}; check overrides.dgd")
    return found


def frontend(image: str, args: Sequence[str] = (), **more: object) -> Component:
    """Return Dynamo's frontend."""
    component = Component(
        name=FRONTEND,
        role=Role.FRONTEND,
        replicas=1,
        image=image,
        command=("python3", "-m", "dynamo.frontend"),
        args=tuple(args),
    )
    return component.with_(**more)
