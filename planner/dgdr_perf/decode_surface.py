"""Time between tokens of one decode engine, by batch and by context.

``itl = a + b * batch + c * kv_tokens``: a step reads the weights once (a), computes one token per
request (b), and reads every cached token (c). Throughput is not measured apart: by Little's law
it is ``batch / itl``. Where engines deviate from the form (attention kernels change with the batch,
reading and computing overlap), the points correct it around themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dgdr_api.points import Source
from dgdr_api.profile_data import DecodeData
from dgdr_api.provenance import UNKNOWN, Provenance
from dgdr_perf.curve_fit import Array, Estimate, Form, checked
from dgdr_perf.monotone_grid import MonotoneGrid

# Where points do not tell: reading the weights is half of a step.
ASSUMED_SHARES = (0.5, 0.25, 0.25)
# Measured batches and contexts are means of what the load tool reached, so never round numbers.
TOLERANCE = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class DecodeSurface:
    """Never falls with batch or context; continuous. Equal is the same one only."""

    form: Form
    grid: MonotoneGrid
    batches: tuple[float, float]
    contexts: tuple[float, float]
    most_kv_tokens: float
    provenance: Provenance = UNKNOWN

    @classmethod
    def fit(
        cls,
        batch: Sequence[float],
        context_tokens: Sequence[float],
        itl_ms: Sequence[float],
        provenance: Provenance = UNKNOWN,
    ) -> Self:
        """Fit from one point up, in any order, with repetitions.

        Raises:
            ProfileError: names the point that cannot be used.
        """
        columns = {"batch": batch, "context_tokens": context_tokens, "itl_ms": itl_ms}
        batches, contexts, latency_ms = checked(columns, "decode")
        kv_tokens = batches * contexts
        inputs = len(np.unique(np.stack([batches, contexts], axis=1), axis=0))
        form = Form.fit(_terms(batches, kv_tokens), latency_ms, ASSUMED_SHARES, inputs)
        nothing = np.ones(1)

        def predict(batch: Array, context: Array) -> Array:
            return form(_terms(batch, batch * context), nothing)

        return cls(
            form=form,
            grid=MonotoneGrid.fit(batches, contexts, latency_ms, form.trust, predict),
            batches=_range(batches),
            contexts=_range(contexts),
            most_kv_tokens=float(kv_tokens.max()),
            provenance=provenance,
        )

    @classmethod
    def of(cls, data: DecodeData) -> Self:
        """Fit to the points of stored profile data; the batch is KV usage over context."""
        points = data.fitted
        contexts = [max(context, 1.0) for context in points.context_length]
        batch = [
            usage * points.max_kv_tokens / context
            for usage, context in zip(points.kv_usage, contexts, strict=True)
        ]
        provenance = replace(points.provenance, fingerprint=data.provenance.fingerprint)
        return cls.fit(batch, contexts, points.itl_ms, provenance)

    @property
    def source(self) -> Source | None:
        """Whether all points were measured; None is unknown."""
        return self.provenance.source

    def itl_ms(self, batch: float, context_tokens: float) -> Estimate:
        """Time between tokens at this batch and mean context."""
        value = self.itl_of_batches(np.array([batch]), context_tokens)[0]
        return Estimate(value_ms=float(value), in_range=self.covers(batch, context_tokens))

    def by_context(self, context_tokens: float) -> float:
        """Share of what one more request adds to a step that its context is responsible for."""
        _, per_request, per_token = map(float, self.form.coefficients)
        cached = per_token * context_tokens
        return cached / (per_request + cached) if cached > 0 else 0.0

    def covers(self, batch: float, context_tokens: float) -> bool:
        """Whether batch, context and their product lie between measured ones."""
        return (
            _within(batch, self.batches)
            and _within(context_tokens, self.contexts)
            and batch * context_tokens <= self.most_kv_tokens * (1 + TOLERANCE)
        )

    def itl_of_batches(self, batches: Array, context_tokens: float) -> Array:
        """Time between tokens in ms at each batch, all at the same mean context."""
        beyond = np.maximum(
            batches / self.batches[1], batches * context_tokens / self.most_kv_tokens
        )
        value = self.grid(batches, context_tokens) * self.form.margin(beyond)
        return value * self._below(batches, context_tokens) * self._above(batches, context_tokens)

    def itl_of_pairs(self, batches: Array, contexts: Array) -> Array:
        """Time between tokens in ms at each batch and its own mean context; shapes broadcast."""
        beyond = np.maximum(batches / self.batches[1], batches * contexts / self.most_kv_tokens)
        value = self.grid.at(batches, contexts) * self.form.margin(beyond)
        return value * self._below(batches, contexts) * self._above(batches, contexts)

    def _below(self, batches: Array, context_tokens: float | Array) -> Array:
        """Factor below the measured range: as little less as the form grants anywhere."""
        batch, context = self.batches[0], self.contexts[0]
        corner_ms = self._plain(batch, context)
        by_context = self._plain(batch, np.minimum(context_tokens, context)) / corner_ms
        return by_context * self._plain(np.minimum(batches, batch), context) / corner_ms

    def _above(self, batches: Array, context_tokens: float | Array) -> Array:
        """Factor above the measured range: the growth of the form from its edge."""
        batch = np.maximum(batches, self.batches[0])
        context = np.maximum(context_tokens, self.contexts[0])
        edge_batch = np.minimum(batch, self.batches[1])
        edge = self._plain(edge_batch, np.minimum(context, self.contexts[1]))
        return self._plain(batch, context) / edge

    def _plain(self, batches: float | Array, context_tokens: float | Array) -> Array:
        """The physical form alone; written out, because it is read many times for one answer."""
        fixed, per_request, per_token = map(float, self.form.coefficients)
        return np.asarray(fixed + (per_request + per_token * context_tokens) * batches)


def _terms(batches: Array, kv_tokens: Array) -> Array:
    return np.stack([np.ones_like(batches), batches, kv_tokens], axis=1)


def _range(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _within(value: float, bounds: tuple[float, float]) -> bool:
    return bounds[0] * (1 - TOLERANCE) <= value <= bounds[1] * (1 + TOLERANCE)
