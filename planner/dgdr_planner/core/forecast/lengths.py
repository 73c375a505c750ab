"""Input and output lengths of the requests to come: means weighted by requests.

A window of three requests says little about lengths, one of three thousand a lot: every mean
weighs each window by its requests, which also keeps one odd window from moving the plan.
"""

import math

import numpy as np

from dgdr_planner.core.forecast.demand import Floats
from dgdr_planner.core.forecast.discounted import filled
from dgdr_planner.core.forecast.selection import Candidate, select
from dgdr_planner.core.forecast.trend import means

#: Windows with fewer requests than this, and than this share of the usual ones, tell no length.
FEW, FEW_SHARE = 30.0, 0.25
#: Steps that are looked back, and the discount of a step in the mean.
LOOKED_BACK, KEEP = 120, 0.8


def expected_length(lengths: Floats, requests: Floats, lead: int) -> float | None:
    """Return the mean length of a request ``lead`` steps ahead; None where none was ever known.

    Both arrays have shape (n,); NaN: unknown.
    """
    if not np.isfinite(lengths).any():
        return None
    if np.isfinite(lengths[-LOOKED_BACK:]).any():
        lengths, requests = lengths[-LOOKED_BACK:], requests[-LOOKED_BACK:]
    known = np.isfinite(lengths)
    few = min(FEW, FEW_SHARE * float(requests[known].max()))
    telling = np.where(known & (requests >= few), lengths, np.nan)
    last = Candidate(model="LastValue", paths=np.repeat(filled(telling)[:, None], lead, axis=1))
    weights = np.maximum(requests, 1.0)
    mean = Candidate(model="Mean", paths=means(lengths, weights, lead, KEEP))
    value = float(select(lengths, [last, mean], weights=requests).paths[-1, -1])
    return value if math.isfinite(value) else None
