"""Time to first token of one unloaded engine, by prompt length.

``ttft = a + b * isl + c * isl**2``: a fixed part, the linear layers, and attention, which looks
from each token back on all before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from dgdr_api.points import Source
from dgdr_api.profile_data import PrefillData
from dgdr_api.provenance import UNKNOWN, Provenance
from dgdr_perf.curve_fit import Array, Estimate, Form, checked

# Where points do not tell: half fixed, half linear; attention matters for long prompts only.
ASSUMED_SHARES = (0.5, 0.5, 0.0)


@dataclass(frozen=True, slots=True)
class PrefillCurve:
    """Never falls with the prompt length; continuous.

    ``ranks`` of the engine serve prompts side by side, each one in the time of the curve.
    """

    form: Form
    shortest_isl: float
    longest_isl: float
    provenance: Provenance = UNKNOWN
    ranks: int = 1

    @classmethod
    def fit(
        cls,
        isl: Sequence[float],
        ttft_ms: Sequence[float],
        provenance: Provenance = UNKNOWN,
        ranks: int = 1,
    ) -> Self:
        """Fit from one point up, in any order, with repetitions.

        Raises:
            ProfileError: names the point that cannot be used.
        """
        lengths, latency_ms = checked({"isl": isl, "ttft_ms": ttft_ms}, "prefill")
        form = Form.fit(_terms(lengths), latency_ms, ASSUMED_SHARES, len(np.unique(lengths)))
        return cls(form, float(lengths.min()), float(lengths.max()), provenance, ranks)

    @classmethod
    def of(cls, data: PrefillData) -> Self:
        """Fit to the points of stored profile data."""
        points = data.fitted
        provenance = replace(points.provenance, fingerprint=data.provenance.fingerprint)
        return cls.fit(points.isl, points.ttft_ms, provenance, points.ranks)

    @property
    def source(self) -> Source | None:
        """Whether all points were measured; None is unknown."""
        return self.provenance.source

    def ttft_ms(self, isl: float) -> Estimate:
        """Time to first token when nothing else runs."""
        lengths = np.array([float(isl)])
        value = self.ttft_of_lengths(lengths)[0]
        return Estimate(value_ms=float(value), in_range=self.covers(lengths))

    def ttft_of_lengths(self, isl: Array) -> Array:
        """Time to first token in ms for each prompt length; shape as ``isl``."""
        return self.form(_terms(isl), isl / self.longest_isl)

    def covers(self, isl: Array) -> bool:
        """Whether all these lengths lie between measured ones."""
        return bool((isl >= self.shortest_isl).all() and (isl <= self.longest_isl).all())


def _terms(isl: Array) -> Array:
    terms = np.empty((len(isl), 3))
    terms[:, 0], terms[:, 1], terms[:, 2] = 1.0, isl, isl**2
    return terms
