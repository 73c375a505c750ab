"""What an aggregated engine can do, before it is measured: estimated from engines of its mapping.

The two kinds of its work are measured apart also when it is deployed itself, so an engine that only
prefilled, and one that only decoded, show what it would. The estimate decides only whether the
engine is worth a deployment.
"""

from collections.abc import Iterable, Mapping, Sequence

from dgdr_api.points import Point, PointKind, Source
from dgdr_profiler.core.candidate import Candidate


def lenders(candidate: Candidate, others: Iterable[Candidate]) -> tuple[Candidate, ...]:
    """Return the candidates that show together what an aggregated one can do; none: nobody does."""
    if not candidate.shape.is_aggregated:
        return ()
    alike = [c for c in others if not c.shape.is_aggregated and c.backend == candidate.backend]
    found = [_of_kind(candidate, alike, kind) for kind in PointKind]
    return tuple(c for c in found if c is not None) if all(found) else ()


def borrowed(
    candidate: Candidate, judged: Mapping[Candidate, Sequence[Point]]
) -> tuple[Point, ...]:
    """Return an aggregated candidate's points as others show them, marked as estimates."""
    return tuple(
        point.model_copy(update={"candidate": candidate.id, "source": Source.ESTIMATED})
        for kind, lender in zip(PointKind, lenders(candidate, judged), strict=False)
        for point in judged[lender]
        if point.kind is kind
    )


def _of_kind(
    candidate: Candidate, others: Sequence[Candidate], kind: PointKind
) -> Candidate | None:
    mapping = candidate.shape.worker
    return next((c for c in others if c.mapping(kind) == mapping), None)
