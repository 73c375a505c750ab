"""Which share of the prompts' tokens prefill does not compute, because their KV cache is there.

Frontends of Dynamo 1.6 count it. Elsewhere a first token that came sooner than the curve allows
proves some: the mean TTFT holds waits too, so that it never proves too much. A share that rises is
believed slowly, one that falls at once: caches of replicas that are added, or replaced, are empty.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import Workload
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.value import Value, number
from dgdr_planner.size.curves import alone_ms

# What is believed of a rise in each window, and the most that is ever believed.
BELIEVED, MOST = 0.2, 0.9
# Curves are known to a tenth: a TTFT proves no more than one that is so much longer.
CURVE_ERROR = 1.1
# Fewer requests say more about chance than about caches.
FEWEST_REQUESTS = 30
# A window is another one when so much of it has passed.
ANOTHER = 0.9
# Halvings of the share: to less than a promille.
ROUNDS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    """The share that is planned with, and until when it was learned."""

    share: float = 0.0
    until: datetime | None = None


def cached_after(
    before: Cached, load: LoadSeen, profile: EngineProfile, seen: Workload | None, now: datetime
) -> Cached:
    """Return what is known after this window; ``seen`` is its load, None where it is not known."""
    window = timedelta(seconds=ANOTHER * load.window_s)
    if before.until is not None and timedelta(0) <= now - before.until < window:
        return before
    told = number(load.cached_share)
    if told is None:
        if seen is None or load.requests < FEWEST_REQUESTS:
            return before
        told = _proved(load, profile, seen)
    share = min(told, before.share + BELIEVED * max(told - before.share, 0.0), MOST)
    return Cached(share=share, until=now)


def with_cached(load: LoadSeen, cached: Cached) -> LoadSeen:
    """Return the load with the share that is planned with."""
    return replace(load, cached_share=Value(cached.share))


def _proved(load: LoadSeen, profile: EngineProfile, seen: Workload) -> float:
    """Return the least share that explains how soon first tokens came.

    Prompts count as equally long: none of the same mean are computed sooner.
    """
    ttft_ms = number(load.ttft_ms)
    if ttft_ms is None:
        return 0.0
    equal, limit_ms = replace(seen, isl_quantiles=None), CURVE_ERROR * ttft_ms

    def too_slow(share: float) -> bool:
        return alone_ms(Role.PREFILL, profile, replace(equal, cached_share=share)) > limit_ms

    low, high = 0.0, MOST
    if not too_slow(low):
        return 0.0
    for _ in range(ROUNDS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if too_slow(middle) else (low, middle)
    return low
