"""How long requests will be: the mean of the newest windows that tell the same.

A window's mean length is known to the spread of single requests over the root of their number: to
a few percent for a thousand answers. The mean of several windows is known better, until one of them
differs by more than that: then lengths have changed, and those before say nothing more.
"""

import numpy as np

from dgdr_planner.forecast.demand import Floats

#: Steps that are looked back, and the discount of a step in the mean: ten windows' worth.
LOOKED_BACK, KEEP = 120, 0.9
#: Squared variation of single lengths that is assumed before windows have told theirs, and how fast
#: they do; the middle of what prompts and answers are assumed to have.
ASSUMED_CV2, LEARNED = 1.5, 0.1
#: Windows with fewer requests than this, and than this share of the most, tell no length.
FEW, FEW_SHARE = 30.0, 0.25
#: Standard errors from which a window is news: one in 15,000 is by chance.
NEWS = 4.0


def expected_lengths(lengths: Floats, requests: Floats) -> list[float | None]:
    """Return the mean length of each kind of requests that come; None where none was ever known.

    ``lengths`` has shape (kinds, n), ``requests`` (n,); NaN: unknown.
    """
    return [_expected(_known(each, requests)) for each in lengths]


def _known(lengths: Floats, requests: Floats) -> list[tuple[float, float]]:
    """Return (length, requests) of the windows looked back to; older ones where none is known."""
    for part in (slice(-LOOKED_BACK, None), slice(None, -LOOKED_BACK)):
        told = np.isfinite(lengths[part])
        if told.any():
            numbers = np.maximum(requests[part][told], 1.0)
            enough = numbers >= min(FEW, FEW_SHARE * float(numbers.max()))
            several = lengths[part][told][enough].tolist()
            return list(zip(several, numbers[enough].tolist(), strict=True))
    return []


def _expected(known: list[tuple[float, float]]) -> float | None:
    if not known:
        return None
    mean, weight = known[0]
    variance = ASSUMED_CV2 * mean**2
    for length, number in known[1:]:
        unsure = 1.0 / number + 1.0 / weight
        error = length - mean
        off = min(error**2 / unsure, NEWS**2 * variance)
        if error**2 > NEWS**2 * variance * unsure:
            mean, weight = length, number
        else:
            weight = KEEP * weight + number
            mean += error * number / weight
        variance += LEARNED * (off - variance)
    return mean
