"""What an engine must know how to do."""

from typing import Protocol

from dgdr_api.graph import Graph
from dgdr_profiler.core.shape import Shape


class Engine(Protocol):
    """Writes graphs for one inference engine; pure.

    The engines of a shape become components of these roles:

    ====================  ==========================================================
    prefill and decode    ``prefill`` and ``decode``, which hand keys and values over
    worker                ``worker``: one engine that does both
    prefill alone         ``worker``, named ``prefill``, without a prefix cache
    decode alone          ``worker``, named ``decode``, with a prefix cache
    ====================  ==========================================================

    An engine that is measured alone runs as an ordinary worker, as upstream has it: Dynamo's
    frontend sends requests to a worker that answers them to the end, and a lone prefill engine
    answers none. Without a prefix cache each prompt is computed whole; with one, a prompt that was
    sent before is not computed again, so that only decoding takes time. The name is the one that
    the engine has in a pair, so that what a user's override says of it holds for it alone too.
    """

    @property
    def served_model(self) -> str:
        """Name under which the model is served."""
        ...

    @property
    def publishes_kv_events(self) -> bool:
        """Whether its engines tell a router by cached prefixes what they have in their caches."""
        ...

    def without_guesses(self) -> "Engine":
        """Return the engine without what is not in a point's key.

        That is whatever a pod may read anew or in vain, such as the model's facts, and KV events.
        """
        ...

    def template(self, name: str, shape: Shape) -> Graph:
        """Return a frontend and the engines of a shape, one replica each."""
        ...

    def notes(self, graph: Graph, shape: Shape) -> tuple[str, ...]:
        """Return what a reader of the report should know of the arguments in a shape's graph."""
        ...

    def with_shape(self, graph: Graph, shape: Shape) -> Graph:
        """Make the engines of a graph those of a shape, whatever a user's override made of them.

        Sets what the shape needs: role, KV transfer, prefix cache, degrees of parallelism, nodes
        and GPUs; and adds what an engine cannot do without, such as its model. All else stays in
        its order. Degrees that the shape leaves alone stay as the user wrote them and count: an
        override with eight data-parallel ranks asks for eight times the GPUs.

        Twice is once. For a shape of another kind (TP, TEP, DEP) start from the template again.

        Raises:
            InvalidRequest: a component of the shape is missing, or an argument makes no sense.
        """
        ...
