"""A candidate: one way to spread a model over GPUs, deployed as a prefill and a decode engine."""

from dataclasses import dataclass

from dgdr_profiler.core.shape import Mapping, Shape

ROLES_OF_A_PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One mapping. Both engines of the pair have it, so that one deployment gives both curves."""

    tensor_parallel: int

    @property
    def mapping(self) -> Mapping:
        """How each engine of the pair is spread."""
        return Mapping.tensor(self.tensor_parallel)

    @property
    def shape(self) -> Shape:
        """The deployed pair."""
        return Shape.pair(self.mapping)

    @property
    def id(self) -> str:
        """Name in labels, object names and records."""
        return f"p-tp{self.tensor_parallel}"

    @property
    def label(self) -> str:
        """Name for humans, as upstream writes it."""
        return f"TP={self.tensor_parallel}"

    @property
    def engine_gpus(self) -> int:
        """GPUs of one engine."""
        return self.tensor_parallel

    @property
    def gpus(self) -> int:
        """GPUs of the deployed pair."""
        return ROLES_OF_A_PAIR * self.engine_gpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasible:
    """A candidate that is not tried, and why: a user who expected it must find the reason."""

    candidate: Candidate
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """What a running pair says about itself; ``None`` where it does not say."""

    image_digest: str
    max_kv_tokens: int | None
    max_batch: int | None
    context_length: int | None
