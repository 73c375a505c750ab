"""What is known of each candidate: its measured points, found by the cells that asked for them."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from dgdr_api.points import Point, PointKind
from dgdr_profiler.core.candidate import Candidate, EngineFacts
from dgdr_profiler.core.cells import Cell
from dgdr_profiler.core.point_key import Subject, engine_key, point_key

MOST_REPEATS = 2
"""How often a doubtful cell is measured again: three values have a median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The points of one candidate, and what its engines said about themselves."""

    candidate: Candidate
    subject: Subject
    facts: EngineFacts | None = None
    points: Mapping[str, Point] = field(default_factory=dict)

    @property
    def prefill_ranks(self) -> int:
        """Attention ranks of the engine that prefills."""
        return self.candidate.ranks(PointKind.PREFILL)

    @property
    def decode_ranks(self) -> int:
        """Attention ranks of the engine that decodes."""
        return self.candidate.ranks(PointKind.DECODE)

    @property
    def cache_ranks(self) -> int:
        """Attention ranks that share the KV cache of ``facts``: the decode engine's, if any."""
        decodes = self.candidate.gives(PointKind.DECODE)
        return self.decode_ranks if decodes else self.prefill_ranks

    @property
    def ranks(self) -> int:
        """The number that divides into equal shares for the ranks of either engine."""
        return math.lcm(self.prefill_ranks, self.decode_ranks)

    def get(self, cell: Cell) -> Point | None:
        """Return the point of a cell, when it was measured on the same engine.

        Of one that was measured again the latest, and the median once there are three.
        """
        tries = self.tries(cell)
        if len(tries) > MOST_REPEATS:
            return sorted(tries, key=lambda p: (p.itl_ms or 0.0, p.ttft_ms or 0.0))[len(tries) // 2]
        return tries[-1] if tries else None

    def tries(self, cell: Cell) -> tuple[Point, ...]:
        """Return every measurement of a cell from its own on, earliest first."""
        if self.facts is None:
            return ()
        repeats = range(cell.repeat, MOST_REPEATS + 1)
        keys = [self.key(replace(cell, repeat=n)) for n in repeats]
        return tuple(self.points[key] for key in keys if key in self.points)

    def again(self, cell: Cell) -> Cell | None:
        """Return the next measurement of a doubted cell; None when it was measured often enough."""
        repeats = (replace(cell, repeat=n) for n in range(1, MOST_REPEATS + 1))
        return next((c for c in repeats if self.key(c) not in self.points), None)

    def missing(self, cells: Iterable[Cell]) -> tuple[Cell, ...]:
        """Return the cells without a point."""
        return tuple(cell for cell in cells if self.get(cell) is None)

    def measured(self, cells: Iterable[Cell]) -> tuple[Point, ...]:
        """Return the points of those cells that have one."""
        return tuple(point for cell in cells if (point := self.get(cell)) is not None)

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
    deployed again. Points of another image stay stored, but describe another engine; points that
    are not sound are as good as none, so their cells are measured again.
    """
    own = [p for p in points if p.candidate == candidate.id]
    facts = deployed or _facts(max(own, key=lambda p: p.started_at, default=None))
    return Evidence(
        candidate=candidate,
        subject=subject,
        facts=facts,
        points={p.key: p for p in own if is_sound(p)},
    )


def is_sound(point: Point) -> bool:
    """Whether a point's figures are numbers above zero, as far as its curve needs them."""
    figures: tuple[float | None, ...] = (point.isl, point.ttft_ms)
    if point.kind is PointKind.DECODE:
        batch = point.effective_concurrency or point.concurrency
        figures = (point.isl, point.osl, point.itl_ms, point.output_tokens_per_s, batch)
    return all(n is not None and math.isfinite(n) and n > 0 for n in figures)


def _facts(point: Point | None) -> EngineFacts | None:
    if point is None:
        return None
    return EngineFacts(
        image_digest=point.image_digest,
        max_kv_tokens=point.max_kv_tokens,
        max_batch=point.max_batch,
        context_length=point.context_length,
    )
