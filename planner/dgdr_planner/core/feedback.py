"""How much slower the engines are than their curves say, learned slowly.

The observed latency is compared with the one that the curves expect for the observed load. The
ratio, at least 1 and at most 2, is averaged over windows; a target is divided by it, so that it
adds replicas where, and only where, the expected latency times the ratio would miss the target. It
never takes replicas away: engines that seem faster than measured may just have had easy prompts.
``corrections`` says which windows teach.
"""

LEAST_RATIO, MOST_RATIO = 1.0, 2.0
# About five windows to learn, and to forget.
WEIGHT = 0.2
# Fewer say more about chance than about engines.
FEWEST_REQUESTS = 30


def learned(ratio: float, observed_ms: float | None, expected_ms: float, requests: float) -> float:
    """Return the ratio after one more window, which was settled."""
    if observed_ms is None or requests < FEWEST_REQUESTS or not 0 < expected_ms < float("inf"):
        return ratio
    fresh = min(max(observed_ms / expected_ms, LEAST_RATIO), MOST_RATIO)
    return ratio + WEIGHT * (fresh - ratio)
