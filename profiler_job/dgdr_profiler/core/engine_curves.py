"""What is known of an engine while candidates are weighed: curves through the points so far.

A candidate that is only judged has one prompt length and three or more batches at one context, that
of the workload. There its curves go through the points, and sizing asks for nothing else. Between
batches they follow dgdr_perf's form; beyond the largest one they rise with its margin, so that
nobody is picked for a batch that was not measured. A prompt of another length is not asked about.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from dgdr_api.points import Point
from dgdr_api.transfer import Transfer
from dgdr_perf.decode_surface import DecodeSurface
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.prefill_curve import PrefillCurve
from dgdr_profiler.core.cells import prefill_ranks
from dgdr_profiler.core.curves import batch, context

# Candidates, and rungs of their ladders, that a run looks at again and again.
REMEMBERED = 1024
# An engine that does not say what its cache holds is limited by its latency alone.
NO_LIMIT_TOKENS = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCurves:
    """Points of a prefill and a decode engine as plain numbers, so that equal ones are one key.

    ``prefill`` has (prompt length, ms), ``decode`` (batch, context, ms). ``ranks`` prefill side by
    side. ``transfer`` is what lies between the two engines.
    """

    prefill: tuple[tuple[float, float], ...]
    decode: tuple[tuple[float, float, float], ...]
    ranks: int = 1
    max_kv_tokens: int | None = None
    max_num_seqs: int | None = None
    transfer: Transfer | None = None

    @classmethod
    def of(
        cls,
        prefill: Iterable[Point],
        decode: Iterable[Point],
        transfer: Transfer | None = None,
    ) -> Self:
        """Read points; those without a latency say nothing."""
        first, rows = [p for p in prefill if p.ttft_ms], [p for p in decode if p.itl_ms]
        return cls(
            prefill=tuple(sorted({(float(p.isl), p.ttft_ms) for p in first if p.ttft_ms})),
            ranks=min((prefill_ranks(p.concurrency) for p in first), default=1),
            decode=tuple(sorted({(batch(p), context(p), p.itl_ms) for p in rows if p.itl_ms})),
            max_kv_tokens=min((p.max_kv_tokens for p in rows if p.max_kv_tokens), default=None),
            max_num_seqs=min((p.max_batch for p in rows if p.max_batch), default=None),
            transfer=transfer,
        )

    def profile(self) -> EngineProfile:
        """Return the curves through the points.

        Raises:
            ProfileError: a role has no point.
        """
        return EngineProfile(
            prefill=_prefill(self.prefill, self.ranks),
            decode=_decode(self.decode),
            max_kv_tokens=self.max_kv_tokens or NO_LIMIT_TOKENS,
            max_num_seqs=self.max_num_seqs,
            transfer=self.transfer,
        )


@lru_cache(maxsize=REMEMBERED)
def _prefill(rows: tuple[tuple[float, float], ...], ranks: int) -> PrefillCurve:
    return PrefillCurve.fit([isl for isl, _ in rows], [ms for _, ms in rows], ranks=ranks)


@lru_cache(maxsize=REMEMBERED)
def _decode(rows: tuple[tuple[float, float, float], ...]) -> DecodeSurface:
    return DecodeSurface.fit(
        [n for n, _, _ in rows], [c for _, c, _ in rows], [t for *_, t in rows]
    )
