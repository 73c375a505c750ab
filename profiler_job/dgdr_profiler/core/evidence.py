"""What is known of each candidate: its measured points, found by the cells that asked for them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dgdr_api.points import Point, PointKind
from dgdr_profiler.core.candidate import Candidate, EngineFacts
from dgdr_profiler.core.cells import Cell
from dgdr_profiler.core.point_key import Subject, engine_key, point_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The points of one candidate, and what its engines said about themselves."""

    candidate: Candidate
    subject: Subject
    facts: EngineFacts | None = None
    points: Mapping[str, Point] = field(default_factory=dict)

    def get(self, cell: Cell) -> Point | None:
        """Return the point of a cell, when it was measured on the same engine."""
        if self.facts is None:
            return None
        return self.points.get(point_key(self.subject, self.facts.image_digest, cell))

    def missing(self, cells: Iterable[Cell]) -> tuple[Cell, ...]:
        """Return the cells without a point."""
        return tuple(cell for cell in cells if self.get(cell) is None)

    def of_kind(self, kind: PointKind) -> tuple[Point, ...]:
        """Return this engine's points of one curve."""
        if self.facts is None:
            return ()
        engine = self.engine
        return tuple(p for p in self.points.values() if p.kind is kind and p.engine == engine)

    @property
    def engine(self) -> str:
        """Identity of the engine that runs now."""
        return engine_key(self.subject, self._known.image_digest)

    def key(self, cell: Cell) -> str:
        """Return the key of a cell on the engine that runs now."""
        return point_key(self.subject, self._known.image_digest, cell)

    @property
    def _known(self) -> EngineFacts:
        if self.facts is None:
            raise ValueError(f"{self.candidate.id} was never deployed; its image is not known")
        return self.facts


def evidence(
    candidate: Candidate,
    subject: Subject,
    deployed: EngineFacts | None,
    points: Iterable[Point],
) -> Evidence:
    """Collect what is known of a candidate.

    The facts are those of the deployed engine, or of its newest point: the engine that would be
    deployed again. Points of another image stay stored, but describe another engine.
    """
    own = [p for p in points if p.candidate == candidate.id]
    facts = deployed or _facts(max(own, key=lambda p: p.started_at, default=None))
    return Evidence(
        candidate=candidate, subject=subject, facts=facts, points={p.key: p for p in own}
    )


def _facts(point: Point | None) -> EngineFacts | None:
    if point is None:
        return None
    return EngineFacts(
        image_digest=point.image_digest,
        max_kv_tokens=point.max_kv_tokens,
        max_batch=point.max_batch,
        context_length=point.context_length,
    )
