"""Input and output lengths of the requests to come: means weighted by requests.

A window of three requests says little about lengths, one of three thousand a lot: every mean
weighs each window by its requests, which also keeps one odd window from moving the plan.
"""

import math

import numpy as np

from dgdr_planner.core.forecast.demand import Floats
from dgdr_planner.core.forecast.discounted import filled
from dgdr_planner.core.forecast.selection import speaker
from dgdr_planner.core.forecast.trend import mean

#: Windows with fewer requests than this, and than this share of the usual ones, tell no length.
FEW, FEW_SHARE = 30.0, 0.25
#: Steps that are looked back, and the discount of a step in the mean.
LOOKED_BACK, KEEP = 120, 0.8


def expected_lengths(lengths: Floats, requests: Floats, lead: int) -> list[float | None]:
    """Return the mean lengths of a request ``lead`` steps ahead; None where none was ever known.

    ``lengths`` has shape (kinds, n), ``requests`` (n,); NaN: unknown.
    """
    lengths = _lately(lengths)
    known = np.isfinite(lengths)
    few = np.minimum(FEW, FEW_SHARE * np.where(known, requests, 0.0).max(axis=1, keepdims=True))
    last = filled(np.where(known & (requests >= few), lengths, np.nan))
    both = np.stack([last, mean(lengths, np.maximum(requests, 1.0), KEEP)], axis=1)
    paths = np.broadcast_to(both[..., None], (*both.shape, lead))
    choices = speaker(lengths, paths, requests)
    values = [float(told[choice, -1]) for told, choice in zip(both, choices, strict=True)]
    return [value if math.isfinite(value) else None for value in values]


def _lately(lengths: Floats) -> Floats:
    """Return the lengths without the older ones of a kind that is known lately."""
    known = np.isfinite(lengths[:, -LOOKED_BACK:]).any(axis=1, keepdims=True)
    older = np.arange(lengths.shape[1]) < lengths.shape[1] - LOOKED_BACK
    return np.where(known & older, np.nan, lengths)
