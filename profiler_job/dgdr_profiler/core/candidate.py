"""A candidate: what is deployed to be measured."""

from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace
from enum import StrEnum

from dgdr_api.gpus import Uncountable, graph_gpus, least, replica_gpus
from dgdr_api.graph import Graph, Role
from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_api.points import PointKind
from dgdr_profiler.core.shape import Mapping, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Engines in a shape, and the GPUs that they really hold.

    ``backend`` is set where several compete. ``prefill_gpus`` and ``decode_gpus`` are those of the
    engine that gives that curve, 0 where none does; ``gpus`` those of the whole deployment. An
    override may ask for more than the shape does, so they are the graph's. Where it asks by
    resource claims, which nobody can look up here, they are what is known, the shape's at least.
    """

    shape: Shape
    backend: Backend | None = None
    prefill_gpus: int
    decode_gpus: int
    gpus: int

    @classmethod
    def of(cls, shape: Shape, backend: Backend | None = None) -> "Candidate":
        """Return the candidate of a shape that nothing makes larger."""
        prefill, decode = shape.worker or shape.prefill, shape.worker or shape.decode
        return cls(
            shape=shape,
            backend=backend,
            prefill_gpus=prefill.gpus if prefill else 0,
            decode_gpus=decode.gpus if decode else 0,
            gpus=shape.gpus,
        )

    def sized(self, graph: Graph) -> "Candidate":
        """Return the candidate with the GPUs that its graph asks for."""
        # A role that is measured alone runs as an ordinary worker.
        alone = _gpus(graph, Role.WORKER)
        prefill, decode = _gpus(graph, Role.PREFILL) or alone, _gpus(graph, Role.DECODE) or alone
        counted = graph_gpus(graph)
        known = replace(
            self,
            prefill_gpus=prefill if self.prefill_gpus else 0,
            decode_gpus=decode if self.decode_gpus else 0,
            gpus=least(counted),
        )
        return known._at_least(self) if isinstance(counted, Uncountable) else known

    def _at_least(self, other: "Candidate") -> "Candidate":
        """Return the candidate with no fewer GPUs than another: claims give what is not counted."""
        return replace(
            self,
            prefill_gpus=max(self.prefill_gpus, other.prefill_gpus),
            decode_gpus=max(self.decode_gpus, other.decode_gpus),
            gpus=max(self.gpus, other.gpus),
        )

    @property
    def id(self) -> str:
        """Name in labels, object names and records."""
        return self.shape.id if self.backend is None else f"{self.backend}-{self.shape.id}"

    @property
    def label(self) -> str:
        """Name for humans."""
        return self.shape.label if self.backend is None else f"{self.backend} {self.shape.label}"

    def mapping(self, kind: PointKind) -> Mapping | None:
        """Return how the engine that gives a curve is spread; None: it gives none."""
        role = self.shape.prefill if kind is PointKind.PREFILL else self.shape.decode
        return self.shape.worker or role

    def engine_gpus(self, kind: PointKind) -> int:
        """Return the GPUs of the engine that gives a curve."""
        return self.prefill_gpus if kind is PointKind.PREFILL else self.decode_gpus

    def ranks(self, kind: PointKind) -> int:
        """Return the attention ranks of the engine that gives a curve."""
        mapping = self.mapping(kind)
        return 1 if mapping is None else mapping.ranks

    def gives(self, kind: PointKind) -> bool:
        """Whether a curve can be measured on it."""
        return self.mapping(kind) is not None


class CapacitySource(StrEnum):
    """Where the size of a KV cache comes from, the most trusted first."""

    METADATA = "worker metadata"
    METRICS = "/metrics"
    LOG = "engine log"
    MEMORY_MODEL = "memory model"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What a running candidate says about itself; ``None`` where it does not say.

    Limits are those of the whole engine, all attention ranks together. ``kv_source`` says who
    named ``max_kv_tokens``, and ``notes`` what a reader of the report should know about it.
    """

    image_digest: str
    max_kv_tokens: int | None
    max_batch: int | None
    context_length: int | None
    kv_source: CapacitySource | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What a decode engine says about the KV caches that it fetched, means over all prompts."""

    ms: float
    isl: float
    bytes_per_token: float | None = None


def least_gpus(
    candidate: Candidate, others: Iterable[Candidate], fewest: MappingOf[Role, int]
) -> int | None:
    """Return the GPUs of the smallest deployment with an engine of a candidate.

    ``fewest`` are the replicas that a role has at least, where it is not one. None: nobody gives
    the other role.
    """
    if candidate.shape.is_aggregated:
        return candidate.decode_gpus * fewest.get(Role.WORKER, 1)
    apart = [c for c in others if not c.shape.is_aggregated and c.backend == candidate.backend]
    prefill, decode = fewest.get(Role.PREFILL, 1), fewest.get(Role.DECODE, 1)
    beside = (
        (prefill * candidate.prefill_gpus, [decode * c.decode_gpus for c in apart]),
        (decode * candidate.decode_gpus, [prefill * c.prefill_gpus for c in apart]),
    )
    found = (own + gpus for own, others_gpus in beside if own for gpus in others_gpus if gpus)
    return min(found, default=None)


def _gpus(graph: Graph, role: Role) -> int:
    return sum(least(replica_gpus(c)) for c in graph.with_role(role))
