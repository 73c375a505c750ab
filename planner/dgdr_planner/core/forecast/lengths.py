"""Input and output lengths of the requests to come: means weighted by requests.

A window of three requests says little about lengths, one of three thousand a lot: every mean
weighs each window by its requests, which also keeps one odd window from moving the plan.
"""

import math

import numpy as np

from dgdr_planner.core.forecast.demand import Floats
from dgdr_planner.core.forecast.discounted import discounted, filled
from dgdr_planner.core.forecast.selection import Candidate, select

#: Discounts per step of the means that compete with the last value.
KEEPS = (0.4, 0.7, 0.9, 0.97)


def expected_length(lengths: Floats, requests: Floats, lead: int) -> float | None:
    """Return the mean length of a request ``lead`` steps ahead; None where none was ever known.

    Both arrays have shape (n,); NaN: unknown.
    """
    if not np.isfinite(lengths).any():
        return None
    last = Candidate(model="LastValue", paths=np.repeat(filled(lengths)[:, None], lead, axis=1))
    means = [_mean(lengths, requests, keep, lead) for keep in KEEPS]
    value = float(select(lengths, [last, *means], weights=requests).paths[-1, -1])
    return value if math.isfinite(value) else None


def _mean(lengths: Floats, requests: Floats, keep: float, lead: int) -> Candidate:
    weight = np.where(np.isfinite(lengths), np.maximum(requests, 1.0), 0.0)
    sums = discounted(np.column_stack([weight * np.nan_to_num(lengths), weight]), keep)
    mean = np.divide(
        sums[:, 0], sums[:, 1], out=np.full(lengths.size, np.nan), where=weight.cumsum() > 0
    )
    return Candidate(model="Mean", paths=np.repeat(mean[:, None], lead, axis=1))
