"""What vLLM, SGLang and TensorRT-LLM have in common: all but the arguments."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from dgdr_api.graph import Graph
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.releases import NEWEST, Release
from dgdr_profiler.core.room import NOTHING_KNOWN, Room
from dgdr_profiler.core.shape import Shape
from dgdr_profiler.engines import base
from dgdr_profiler.engines.args import Args
from dgdr_profiler.engines.base import Fitted, Part
from dgdr_profiler.engines.source import ModelSource


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendEngine(ABC):
    """Writes graphs for one of upstream's backends; see ``core.engine.Engine``.

    With ``kv_router`` engines tell the router what they have in their caches: by themselves vLLM
    and SGLang do not, and a router that hears nothing sees no cached prefix anywhere.
    """

    image: str
    source: ModelSource
    release: Release = NEWEST
    room: Room = NOTHING_KNOWN
    kv_router: bool = False

    backend: ClassVar[Backend]

    @property
    def served_model(self) -> str:
        """Name under which the model is served."""
        return self.source.model

    @property
    def publishes_kv_events(self) -> bool:
        """Whether its engines tell a router by cached prefixes what they have in their caches."""
        return True

    def without_guesses(self) -> Self:
        """Return the engine without facts of the model and without KV events."""
        return replace(self, room=replace(self.room, facts=None), kv_router=False)

    def template(self, name: str, shape: Shape) -> Graph:
        """Return a frontend and the engines of a shape."""
        backend = self.backend.value
        skeleton = self.source.skeleton(name, shape, backend=backend, image=self.image)
        return self.with_shape(skeleton, shape)

    def with_shape(self, graph: Graph, shape: Shape) -> Graph:
        """Make the engines of a graph those of a shape."""
        return base.fitted(graph, shape, self._fit)

    def notes(self, graph: Graph, shape: Shape) -> tuple[str, ...]:
        """Return what a reader of the report should know of a shape's arguments."""
        return ()

    @abstractmethod
    def _fit(self, args: Args, part: Part) -> Fitted:
        """Return an engine's arguments for a part of a shape, and the GPUs that they use."""
