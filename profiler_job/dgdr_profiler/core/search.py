"""The search space: every mapping that the hardware can hold, and why the others are left out."""

from collections.abc import Iterator
from dataclasses import dataclass

from dgdr_profiler.core.candidate import Candidate, Infeasible
from dgdr_profiler.core.errors import InvalidRequest

# Without any word about the hardware: a modest search on the commonest kind of node.
UNKNOWN_GPUS_PER_NODE = 8
UNKNOWN_MAX_GPUS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimits:
    """GPUs that engines may have; ``None`` where nobody said."""

    min_engine_gpus: int = 1
    max_engine_gpus: int | None = None
    gpus_per_node: int | None = None
    gpus_at_once: int | None = None

    @property
    def node_gpus(self) -> int:
        """GPUs of one node, assumed where unknown."""
        return self.gpus_per_node or UNKNOWN_GPUS_PER_NODE

    @property
    def largest(self) -> int:
        """GPUs of the largest engine worth a look."""
        if self.max_engine_gpus is not None:
            return self.max_engine_gpus
        return self.gpus_per_node or UNKNOWN_MAX_GPUS


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """What is tried, smallest first, and what is not."""

    candidates: tuple[Candidate, ...]
    infeasible: tuple[Infeasible, ...] = ()

    def without(self, refused: tuple[Infeasible, ...]) -> "SearchSpace":
        """Return the space in which the refused candidates are infeasible too."""
        out = {entry.candidate for entry in refused}
        return SearchSpace(
            candidates=tuple(c for c in self.candidates if c not in out),
            infeasible=(*self.infeasible, *refused),
        )


def search(limits: SearchLimits) -> SearchSpace:
    """Return the powers of two between the limits.

    Raises:
        InvalidRequest: the limits contradict each other.
    """
    low, high = limits.min_engine_gpus, limits.largest
    if low > high:
        raise InvalidRequest(
            f"minGpusPerEngine is {low}, but the largest engine may have {high} GPUs; "
            "lower it, or raise maxGpusPerEngine or hardware.numGpusPerNode"
        )
    tried = [Candidate(tensor_parallel=n) for n in _powers_of_two(low, high)]
    if not tried:
        raise InvalidRequest(
            f"no power of two lies between minGpusPerEngine {low} and maxGpusPerEngine {high}"
        )
    reasons = {c: _obstacle(c, limits) for c in tried}
    return SearchSpace(
        candidates=tuple(c for c in tried if reasons[c] is None),
        infeasible=tuple(
            Infeasible(candidate=c, reason=reason) for c, reason in reasons.items() if reason
        ),
    )


def _powers_of_two(low: int, high: int) -> Iterator[int]:
    power = 1
    while power <= high:
        if power >= low:
            yield power
        power *= 2


def _obstacle(candidate: Candidate, limits: SearchLimits) -> str | None:
    if candidate.engine_gpus > limits.node_gpus:
        return (
            f"an engine of {candidate.engine_gpus} GPUs does not fit on a node of "
            f"{limits.node_gpus}"
        )
    budget = limits.gpus_at_once
    if budget is not None and candidate.gpus > budget:
        return (
            f"a prefill and a decode engine need {candidate.gpus} GPUs, but only {budget} may be "
            "held at once"
        )
    return None
