"""The search space: every shape that hardware and model allow, and why the others are left out."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from dgdr_api.models.dgdr_v1beta1 import Backend
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.limits import UNKNOWN_MAX_GPUS, SearchLimits
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.obstacles import CUTS, Obstacle, ReasonCode, obstacle
from dgdr_profiler.core.shape import Mapping, Shape

SUMMARY_CHARS = 512
"""A summary stands in a condition; whoever wants all reasons reads the report."""
_MORE = "; and {} more reasons"
# Labels that are named after the first of a code.
_LIKEWISE = 4

# No engine has more GPUs; a nonsensical file must not keep the search busy.
_MOST_PARTS = 65_536

# Beyond the smallest engine that holds the weights: one doubling, three for a mixture, whose
# experts gain from more GPUs than they need.
_DENSE_REACH = 2
_MIXTURE_REACH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Infeasible:
    """A shape that is not tried, and why: a user who expected it must find the reason."""

    shape: Shape
    code: ReasonCode
    reason: str
    backend: Backend | None = None

    @property
    def label(self) -> str:
        """Name for humans, of the engine where both roles have the same."""
        return self.shape.label if self.backend is None else f"{self.backend} {self.shape.label}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSpace:
    """What is tried, smallest first, and what is not."""

    shapes: tuple[Shape, ...]
    infeasible: tuple[Infeasible, ...] = ()

    def without(self, refused: Sequence[Infeasible]) -> "SearchSpace":
        """Return the space in which the refused shapes are infeasible too."""
        out = {entry.shape for entry in refused}
        return SearchSpace(
            shapes=tuple(shape for shape in self.shapes if shape not in out),
            infeasible=(*self.infeasible, *refused),
        )

    def required(self) -> "SearchSpace":
        """Return the space itself.

        Raises:
            InvalidRequest: nothing in it can be tried; the message has every reason.
        """
        if self.shapes:
            return self
        raise InvalidRequest(f"no candidate is feasible: {'; '.join(_reasons(self.infeasible))}")


def search(limits: SearchLimits, facts: ModelFacts | None = None) -> SearchSpace:
    """Return every shape between the limits: the possible, and the others with their reasons.

    Without facts of the model: tensor parallelism of powers of two, as far as the hardware goes.

    Raises:
        InvalidRequest: the limits contradict each other, or nothing at all is possible.
    """
    tried = tuple(_mappings(limits, facts))
    if not tried:
        raise InvalidRequest(_nothing_between(limits, facts))
    shapes: list[Shape] = []
    refused: list[Infeasible] = []
    for mapping in tried:
        found = obstacle(mapping, limits, facts)
        if found is None:
            shapes += _deployments(mapping, limits)
        elif _is_expected(mapping, found):
            entry = Infeasible(shape=Shape.pair(mapping), code=found.code, reason=found.reason)
            refused.append(entry)
    return SearchSpace(shapes=tuple(shapes), infeasible=tuple(refused)).required()


def summary(space: SearchSpace, basis: str = "") -> str:
    """Return a sentence about the space: how many shapes are possible, and why others are not.

    ``basis`` are words about what the search rests on. One reason stands for all of its code, so
    that it has room in a condition.
    """
    possible = {shape.largest for shape in space.shapes}
    every = possible | {entry.shape.largest for entry in space.infeasible}
    said = f"{len(possible)} of {len(every)} shapes are possible{basis}"
    codes = list(dict.fromkeys(entry.code for entry in space.infeasible))
    for left, code in zip(range(len(codes), 0, -1), codes, strict=True):
        longer = f"{said}; {_in_short([e for e in space.infeasible if e.code is code], possible)}"
        if len(longer) > SUMMARY_CHARS - len(_MORE):
            return f"{said}{_MORE.format(left)}"
        said = longer
    return said


def _in_short(alike: Sequence[Infeasible], possible: AbstractSet[Mapping]) -> str:
    named, *others = _named(alike, possible)
    shown, left = ", ".join(others[:_LIKEWISE]), len(others) - _LIKEWISE
    likewise = f"; likewise {shown}" if others else ""
    more = f" and {left} more" if left > 0 else ""
    return f"{named}: {alike[0].reason}{likewise}{more}"


def _named(alike: Iterable[Infeasible], possible: AbstractSet[Mapping]) -> list[str]:
    """Name each mapping once, with its roles where it is possible in another one."""
    roles: dict[Mapping, list[str]] = {}
    for entry in alike:
        roles.setdefault(entry.shape.largest, []).extend(entry.shape.roles)
    return [
        f"{' and '.join(dict.fromkeys(names))} {mapping.label}"
        if mapping in possible
        else mapping.label
        for mapping, names in roles.items()
    ]


def _reasons(infeasible: Iterable[Infeasible]) -> list[str]:
    """Return each reason once, after all the shapes that it holds for."""
    labels: dict[str, list[str]] = {}
    for entry in infeasible:
        labels.setdefault(entry.reason, []).append(entry.shape.label)
    return [f"{', '.join(shapes)}: {reason}" for reason, shapes in labels.items()]


def _mappings(limits: SearchLimits, facts: ModelFacts | None) -> Iterator[Mapping]:
    low, high = limits.min_engine_gpus, _largest(limits, facts)
    if low > high:
        raise InvalidRequest(
            f"minGpusPerEngine is {low}, but the largest engine may have {high} GPUs; "
            "lower it, or raise maxGpusPerEngine or hardware.numGpusPerNode"
        )
    powers = {1 << power for power in range(high.bit_length())}
    for gpus in sorted(powers | _divisors(facts, high)):
        if low <= gpus <= high:
            yield from _of_size(gpus, limits.nodes_of(gpus), facts)


def _of_size(gpus: int, nodes: int, facts: ModelFacts | None) -> tuple[Mapping, ...]:
    """Return the ways to spread a model over so many GPUs.

    A mixture can be split like a dense model, if its experts are wide. Those of models with latent
    attention are narrow, and are not cut.
    """
    tensor = Mapping.tensor(gpus, nodes)
    if facts is None or not facts.is_moe:
        return (tensor,)
    experts = (Mapping.tensor_expert(gpus, nodes), Mapping.data_expert(gpus, nodes))
    return tuple(dict.fromkeys(experts if facts.is_mla else (*experts, tensor)))


def _largest(limits: SearchLimits, facts: ModelFacts | None) -> int:
    """Return the GPUs of the largest engine worth a look."""
    if limits.max_engine_gpus is not None:
        return limits.max_engine_gpus
    node = limits.gpus_per_node or UNKNOWN_MAX_GPUS
    least = _least(limits, facts)
    if facts is None or least is None:
        return node
    wanted = least * _DENSE_REACH
    if facts.is_moe and limits.gpus_at_once is not None:
        wanted = max(wanted, min(least * _MIXTURE_REACH, limits.gpus_at_once))
    return max(node, wanted)


def _least(limits: SearchLimits, facts: ModelFacts | None) -> int | None:
    """Return the smallest power of two of GPUs whose memory is larger than the weights."""
    memory, weights = limits.gpu_memory_bytes, None if facts is None else facts.weight_bytes
    if not memory or weights is None:
        return None
    return 1 << max(0, -(-weights // memory) - 1).bit_length()


def _is_power_of_two(gpus: int) -> bool:
    return gpus & (gpus - 1) == 0


def _divisors(facts: ModelFacts | None, high: int) -> set[int]:
    """Return every number up to a limit that divides the model's heads or experts."""
    counts = () if facts is None else (facts.heads or 0, facts.experts or 0)
    most = min(high, _MOST_PARTS)
    return {n for count in counts for n in range(1, min(count, most) + 1) if count % n == 0}


def _is_expected(mapping: Mapping, found: Obstacle) -> bool:
    """Nobody misses an odd number of GPUs that model or nodes cannot be cut into."""
    return _is_power_of_two(mapping.gpus) or found.code not in CUTS


def _deployments(mapping: Mapping, limits: SearchLimits) -> list[Shape]:
    """Return what is deployed to measure a mapping: a pair, or one role after the other."""
    budget = limits.gpus_at_once
    pair = Shape.pair(mapping)
    apart = [Shape(prefill=mapping), Shape(decode=mapping)]
    shapes = [pair] if budget is None or pair.gpus <= budget else apart
    return [*shapes, Shape(worker=mapping)] if limits.aggregated else shapes


def _nothing_between(limits: SearchLimits, facts: ModelFacts | None) -> str:
    low, high = limits.min_engine_gpus, _largest(limits, facts)
    cut = "" if facts is None else ", and no number that divides the model's heads or experts,"
    return f"no power of two{cut} lies between minGpusPerEngine {low} and maxGpusPerEngine {high}"
