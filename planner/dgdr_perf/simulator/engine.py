"""Times of one engine, as the simulator asks for them: often, one at a time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from dgdr_perf.engine_profile import EngineProfile

# Sequences in one step; what engines are started with where nobody says otherwise.
MAX_BATCH = 1024
# Intervals of a row of the step table. A step time is all but linear in the cached tokens, so
# the table is off by the calibration's kinks only.
NODES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine. ``step_ms(batch, kv_tokens)``: tokens of all requests in the batch together.

    Each of its attention ``ranks`` computes a prompt of its own in ``prefill_ms``.
    """

    prefill_ms: Callable[[float], float]
    step_ms: Callable[[int, float], float]
    max_kv_tokens: float
    max_batch: int = MAX_BATCH
    ranks: int = 1
    _prompts: dict[float, float] = field(default_factory=dict, repr=False)
    _rows: dict[int, list[float]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, profile: EngineProfile, max_batch: int = MAX_BATCH) -> Self:
        """Return an engine that behaves as the curves of a profile say."""
        return cls(
            prefill_ms=lambda isl: profile.prefill.ttft_ms(isl).value_ms,
            step_ms=lambda batch, kv: profile.decode.itl_ms(batch, kv / batch).value_ms,
            max_kv_tokens=profile.max_kv_tokens,
            max_batch=max_batch,
            ranks=profile.prefill.ranks,
        )

    @classmethod
    def physical(
        cls,
        ttft_ms: tuple[float, float, float],
        itl_ms: tuple[float, float, float],
        max_kv_tokens: float,
        max_batch: int = MAX_BATCH,
        ranks: int = 1,
    ) -> Self:
        """Return one of ``a + b * isl + c * isl**2`` and ``a + b * batch + c * kv_tokens``."""
        fixed, linear, square = ttft_ms
        weights, token, cached = itl_ms
        return cls(
            prefill_ms=lambda isl: fixed + linear * isl + square * isl * isl,
            step_ms=lambda batch, kv: weights + token * batch + cached * kv,
            max_kv_tokens=max_kv_tokens,
            max_batch=max_batch,
            ranks=ranks,
        )

    def prompt_s(self, isl: float) -> float:
        """Seconds that a prompt of this length takes, remembered."""
        known = self._prompts.get(isl)
        if known is None:
            known = self._prompts[isl] = self.prefill_ms(max(isl, 1.0)) / 1000.0
        return known

    def step_s(self, batch: int, kv_tokens: float) -> float:
        """Seconds of one step, read from a table that is linear between its nodes."""
        row = self._rows.get(batch)
        if row is None:
            row = self._rows[batch] = self._row(batch)
        place = kv_tokens / self.max_kv_tokens * NODES
        node = min(int(place), NODES - 1)
        low = row[node]
        return low + (row[node + 1] - low) * (place - node)

    def _row(self, batch: int) -> list[float]:
        tokens = (max(node * self.max_kv_tokens / NODES, 1.0) for node in range(NODES + 1))
        return [self.step_ms(batch, kv) / 1000.0 for kv in tokens]
