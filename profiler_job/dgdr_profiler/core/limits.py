"""What the hardware, the policy and the load allow, for the search."""

from dataclasses import dataclass

from dgdr_api.models.dgdr_v1beta1 import Backend

UNKNOWN_GPUS_PER_NODE = 8
"""The commonest kind of node, where nobody said."""
UNKNOWN_MAX_GPUS = 4
"""A modest search, where nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimits:
    """GPUs that engines may have, and what each must hold; ``None`` where nobody said.

    ``gpus_at_once`` bounds what stands at a time.
    ``backend`` decides how much of a GPU's memory may be taken. With ``aggregated``, engines that
    do both, prefill and decode, are tried besides.
    """

    min_engine_gpus: int = 1
    max_engine_gpus: int | None = None
    gpus_per_node: int | None = None
    gpus_at_once: int | None = None
    gpu_memory_bytes: int | None = None
    isl: int | None = None
    osl: int | None = None
    backend: Backend = Backend.AUTO
    aggregated: bool = False

    @property
    def node_gpus(self) -> int:
        """GPUs of one node, assumed where unknown."""
        return self.gpus_per_node or UNKNOWN_GPUS_PER_NODE

    @property
    def request_tokens(self) -> int | None:
        """Tokens of one request, prompt and answer."""
        return None if self.isl is None or self.osl is None else self.isl + self.osl

    def nodes_of(self, gpus: int) -> int:
        """Return the whole nodes that an engine takes; one if it fits on a node."""
        return -(-gpus // self.node_gpus)

    def knows_nodes(self, gpus: int) -> bool:
        """Whether somebody said that there are nodes enough to be tried for such an engine."""
        if self.gpus_per_node is None:
            return False
        return self.gpus_at_once is not None or (self.max_engine_gpus or 0) >= gpus
