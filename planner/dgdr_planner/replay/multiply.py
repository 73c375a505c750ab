"""A trace of more, or fewer, users of the same kind."""

import math

import numpy as np

from dgdr_perf.simulator.arrivals import Requests
from dgdr_planner.replay.traces import TraceError

# As long as the usual planning interval: load per interval is the trace's, multiplied.
JITTER_S = 60.0


def multiplied(
    requests: Requests, factor: float, rng: np.random.Generator, jitter_s: float = JITTER_S
) -> Requests:
    """Repeat each request ``factor`` times; a fraction is the chance of one more.

    The first of the repetitions keeps its time. The others are spread evenly over the same
    ``jitter_s`` seconds, counted from the trace's begin: as many users do the same, but not at the
    same moment. The load of each of these windows is multiplied exactly; bursts within one are
    evened out, unlike by playing the trace faster, which would also shorten its rises.

    Raises:
        TraceError: the factor is not a number above 0.
    """
    if not math.isfinite(factor) or factor <= 0:
        raise TraceError(f"factor is {factor}; it must be a number above 0, as 20")
    times = requests.arrival_s
    extra = rng.random(len(requests)) < factor - math.floor(factor)
    copies = math.floor(factor) + extra.astype(int)
    origin = np.repeat(np.arange(len(requests)), copies)
    first = np.r_[True, origin[1:] != origin[:-1]][: len(origin)]
    last_s = float(times[-1])
    begin_s = times[origin] // jitter_s * jitter_s
    width_s = np.minimum(begin_s + jitter_s, last_s) - begin_s
    spread_s = begin_s + rng.random(len(origin)) * width_s
    return Requests.of(
        np.where(first, times[origin], spread_s), requests.isl[origin], requests.osl[origin]
    )
