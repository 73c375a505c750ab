"""Times of one engine, as the simulator asks for them: of many prompts, of many batches."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

import numpy as np

from dgdr_perf.curve_fit import Array
from dgdr_perf.engine_profile import EngineProfile

# Sequences in one step; what engines are started with where nobody says otherwise.
MAX_BATCH = 1024
# Intervals of a row of the step table. A step time is all but linear in the cached tokens, so
# the table is off by the calibration's kinks only.
NODES = 64
# Rows of the step table that are made at first; more are made when a batch has grown beyond them.
FIRST_ROWS = 64


@dataclass(slots=True)
class _Steps:
    """Seconds of a step by batch and by cached tokens; row 0 belongs to no batch."""

    table_s: Array = field(default_factory=lambda: np.zeros((1, NODES + 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One engine.

    ``prefill_ms(isl)`` and ``step_ms(batch, kv_tokens)`` take arrays whose shapes broadcast;
    ``kv_tokens`` are those of all requests in the batch together. Each of its attention ``ranks``
    computes a prompt of its own in ``prefill_ms``.
    """

    prefill_ms: Callable[[Array], Array]
    step_ms: Callable[[Array, Array], Array]
    max_kv_tokens: float
    max_batch: int = MAX_BATCH
    ranks: int = 1
    _steps: _Steps = field(default_factory=_Steps, repr=False, compare=False)

    @classmethod
    def of(cls, profile: EngineProfile, max_batch: int = MAX_BATCH) -> Self:
        """Return an engine that behaves as the curves of a profile say."""
        return cls(
            prefill_ms=profile.prefill.ttft_of_lengths,
            step_ms=lambda batch, kv: profile.decode.itl_of_pairs(batch, kv / batch),
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

    def prompts_s(self, isl: Array) -> Array:
        """Seconds that each prompt takes; shape as ``isl``."""
        return np.asarray(self.prefill_ms(np.maximum(isl, 1.0)) / 1000.0, dtype=np.float64)

    def lone_steps_s(self, kv_tokens: Array) -> Array:
        """Seconds of a step of one request that has so many cached tokens; of their shape."""
        row = self.steps_s(1)[1]
        place = kv_tokens / self.max_kv_tokens * NODES
        node = np.minimum(place.astype(np.int64), NODES - 1)
        low = row[node]
        return np.asarray(low + (row[node + 1] - low) * (place - node))

    def steps_s(self, batch: int) -> Array:
        """Return the step table with a row for this batch, and as many before it as there are.

        Shape (batches, ``NODES`` + 1); linear between the nodes.
        """
        known = self._steps.table_s
        if batch >= len(known):
            rows = min(max(2 * len(known), batch + 1, FIRST_ROWS), max(self.max_batch, batch) + 1)
            batches = np.arange(len(known), rows, dtype=np.float64)[:, None]
            tokens = np.maximum(np.linspace(0.0, self.max_kv_tokens, NODES + 1), 1.0)[None, :]
            times_ms = np.broadcast_to(self.step_ms(batches, tokens), (len(batches), NODES + 1))
            self._steps.table_s = np.concatenate([known, times_ms / 1000.0])
        return self._steps.table_s
