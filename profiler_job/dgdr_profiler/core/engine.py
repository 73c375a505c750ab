"""What an engine must know how to do."""

from typing import Protocol

from dgdr_api.graph import Graph, Role
from dgdr_profiler.core.candidate import Candidate


class Engine(Protocol):
    """Writes graphs for one inference engine; pure."""

    @property
    def served_model(self) -> str:
        """Name under which the model is served."""
        ...

    def template(self, name: str) -> Graph:
        """Return a frontend, a prefill and a decode engine on one GPU each."""
        ...

    def with_mapping(self, graph: Graph, role: Role, mapping: Candidate) -> Graph:
        """Spread the engines of one role over the mapping's GPUs."""
        ...
