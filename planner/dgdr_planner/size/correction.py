"""How much slower the engines are than their curves say, learned slowly.

The observed latency is compared with the one that the curves expect for the observed load. The
ratio, at least 1 and at most 2, is averaged over windows; a target is divided by it, so that it
adds replicas where, and only where, the expected latency times the ratio would miss the target. It
never takes replicas away: engines that seem faster than measured may just have had easy prompts.

A window teaches about a role whose replicas were all ready and did not change in it, when by the
curves they could carry its load, and the load of the window before as well: what was left over
from a burst makes a window slow that its own load does not explain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.startup import Starts
from dgdr_planner.observe.value import number
from dgdr_planner.policy import Policy
from dgdr_planner.size.curves import expected_ms, observed

LEAST_RATIO, MOST_RATIO = 1.0, 2.0
# About five windows to learn, and to forget.
WEIGHT = 0.2
# Fewer say more about chance than about engines.
FEWEST_REQUESTS = 30
# Of a window: ticks are not exact, but a look at nearly the same samples is no other window.
ANOTHER = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """How much slower than its curves each role is; a role that is left out is not.

    ``carrying`` are the roles that by their curves carried the load of the window until ``until``.
    """

    ratios: Mapping[Role, float] = field(default_factory=dict)
    carrying: frozenset[Role] = frozenset()
    until: datetime | None = None

    def ratio(self, role: Role) -> float:
        """Return the observed latency over the one that the curves expect."""
        return self.ratios.get(role, LEAST_RATIO)


def correction(
    before: Correction,
    starts: Starts,
    load: LoadSeen,
    profile: EngineProfile,
    forecast: Forecast,
    policy: Policy,
    now: datetime,
) -> Correction:
    """Return what is known after this window; the same as before while it is still the last one."""
    known = {role: before.ratio(role) for role in policy.roles}
    window = timedelta(seconds=ANOTHER * load.window_s)
    if before.until is not None and timedelta(0) <= now - before.until < window:
        return replace(before, ratios=known)
    expected = {
        role: ms
        for role in policy.roles
        if (ms := _expected_ms(role, starts, load, profile, forecast, policy, now)) is not None
    }
    requests = load.requests or (number(load.rate_per_s) or 0.0) * load.window_s
    taught = {
        role: learned(known[role], _observed_ms(role, load), expected[role], requests)
        for role in expected.keys() & before.carrying
    }
    return Correction(ratios=known | taught, carrying=frozenset(expected), until=now)


def learned(ratio: float, observed_ms: float | None, expected_ms: float, requests: float) -> float:
    """Return the ratio after one more window, which was settled."""
    if observed_ms is None or requests < FEWEST_REQUESTS or not 0 < expected_ms < float("inf"):
        return ratio
    fresh = min(max(observed_ms / expected_ms, LEAST_RATIO), MOST_RATIO)
    return ratio + WEIGHT * (fresh - ratio)


def _expected_ms(
    role: Role,
    starts: Starts,
    load: LoadSeen,
    profile: EngineProfile,
    forecast: Forecast,
    policy: Policy,
    now: datetime,
) -> float | None:
    """Return the latency of a window that the role could carry; None of all others."""
    seen = observed(forecast, load)
    # An aggregated engine has two latencies and one number: which of them is off is not known.
    if seen is None or role is Role.WORKER or not starts.is_settled(role, load.window_s, now):
        return None
    ms = expected_ms(role, profile, seen, starts.roles[role].replicas, policy)
    target_ms = policy.targets.ttft_ms if role is Role.PREFILL else policy.targets.itl_ms
    return ms if ms <= target_ms else None


def _observed_ms(role: Role, load: LoadSeen) -> float | None:
    return number(load.ttft_ms if role is Role.PREFILL else load.itl_ms)
