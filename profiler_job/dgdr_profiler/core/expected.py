"""What a candidate's engine should be like before it was ever started."""

from dataclasses import dataclass

from dgdr_api.points import PointKind
from dgdr_profiler.core.candidate import Candidate
from dgdr_profiler.core.limits import SearchLimits
from dgdr_profiler.core.memory import as_kept, footprint
from dgdr_profiler.core.model import ModelFacts
from dgdr_profiler.core.shape import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The engine that decodes, or the one that there is.

    ``ranks`` is None where its arguments decide how many attention ranks it has. ``kv_tokens`` is
    the memory model's estimate for the whole engine, None where it has none. Without ``decodes``
    nobody asks how much the engine holds. ``unlike_layers``: those of its model keep different
    numbers of tokens.
    """

    ranks: int | None = None
    kv_tokens: int | None = None
    decodes: bool = True
    unlike_layers: bool = False


def expected_of(candidate: Candidate, limits: SearchLimits, facts: ModelFacts | None) -> Expected:
    """Return what a candidate's engine should be like, as far as its model and GPUs are known."""
    decodes = candidate.mapping(PointKind.DECODE)
    mapping = decodes or candidate.mapping(PointKind.PREFILL)
    if mapping is None:
        return Expected(decodes=False)
    return Expected(
        ranks=mapping.ranks if mapping.ranks > 1 else None,
        kv_tokens=_kv_tokens(mapping, limits, facts),
        decodes=decodes is not None,
        unlike_layers=facts is not None and as_kept(facts, limits.backend).has_unlike_layers,
    )


def _kv_tokens(mapping: Mapping, limits: SearchLimits, facts: ModelFacts | None) -> int | None:
    memory, tokens = limits.gpu_memory_bytes, limits.request_tokens
    if facts is None or memory is None or tokens is None:
        return None
    found = footprint(facts, mapping, memory, tokens, limits.backend)
    return None if found is None else found.kv_tokens or None
