"""The load of the past from a range query: what a new process knows about its deployment."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from dgdr_planner.core.doubts import MOST_PER_S
from dgdr_planner.core.forecast import Sample
from dgdr_planner.core.measure import MOST_TOKENS

# A range query returns at most 11,000 points of a series; a forecast needs far fewer.
MOST_WINDOWS = 2000
_MOST = {"rate": MOST_PER_S, "isl": MOST_TOKENS, "osl": MOST_TOKENS}


def past_windows(
    result: Sequence[Mapping[str, Any]], window_s: float, clock_ahead_s: float = 0.0
) -> tuple[Sample, ...]:
    """Read the ``result`` of ``queries.past_load`` as windows, oldest first, without the unknown.

    ``clock_ahead_s`` is how far Prometheus's clock is ahead of ours: samples are dated by ours.

    Raises:
        ValueError, KeyError, TypeError: the answer is not what Prometheus's API promises.
    """
    seen: dict[float, dict[str, float]] = defaultdict(dict)
    for entry in result:
        of = entry["metric"]["of"]
        for at_s, text in entry["values"]:
            value = float(text)
            if math.isfinite(value) and 0 <= value <= _MOST[of]:
                seen[float(at_s)][of] = value
    return tuple(
        Sample(
            at_s=at_s - clock_ahead_s,
            window_s=window_s,
            rate_per_s=known["rate"],
            isl=known.get("isl"),
            osl=known.get("osl"),
        )
        for at_s, known in sorted(seen.items())
        if "rate" in known
    )
