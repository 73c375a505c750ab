"""When what is observed contradicts the plan, the need of a role is multiplied for a while.

Curves know engines, queues and lengths; nobody tells them of engines that became slower, of bursts
inside a window, or of a router that piles requests up. A window is *late* for a role whose mean
latency used up more of the room between a lone request and the target than the percentile leaves
to the mean. Where that happens although all replicas were there, the need grows at once, and once
more after each such window: never to more than twice, and never while replicas start. A
role that is late gives nothing up. Windows with room to spare take a third of it back, others
nothing: engines that stay slow keep what they need.

Means are compared, for they are observed exactly; percentiles are known to a bucket only. Where a
lone request already takes the target, no number of replicas helps and nothing is added.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.sizing import Percentile, Workload
from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.startup import Starts
from dgdr_planner.observe.value import number
from dgdr_planner.policy import Policy
from dgdr_planner.size.curves import alone_ms, expected_ms, observed

NONE, MOST = 1.0, 2.0
# What a late window adds. A queue of prompts is gone in seconds; requests that slow each other down
# stay for their whole answers.
STEPS = {Role.PREFILL: 0.25, Role.DECODE: 0.5, Role.WORKER: 0.5}
# What a window with room to spare leaves of a correction, and below what it is none.
KEEP, FORGOTTEN = 0.65, 1.05
# Of the room that a mean may use, what is room to spare.
SPARE = 0.6
# Of the room between a lone request and the target, what the mean may use while the percentile
# still holds. Waits spread about as exponentials do; the time between tokens of a request is an
# average already.
TTFT_ROOM = {"mean": 1.0, "p50": 0.8, "p90": 0.55, "p95": 0.45, "p99": 0.3}
ITL_ROOM = {"mean": 1.0, "p50": 1.0, "p90": 0.85, "p95": 0.8, "p99": 0.7}
# Fewer requests say more about chance than about engines.
FEWEST_REQUESTS = 30
# Of a window: ticks are not exact, but a look at nearly the same samples is no other window.
ANOTHER = 0.9
# Of a target: a lone request that takes more leaves no room that replicas could give.
HOPELESS = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """By what the need of each role is multiplied; a role that is left out is not.

    ``late`` are the roles that were late in the window which ended at ``until``.
    """

    factors: Mapping[Role, float] = field(default_factory=dict)
    late: frozenset[Role] = frozenset()
    until: datetime | None = None

    def factor(self, role: Role) -> float:
        """Return by what the need of a role is multiplied."""
        return self.factors.get(role, NONE)


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
    known = {role: before.factor(role) for role in policy.roles}
    window = timedelta(seconds=ANOTHER * load.window_s)
    if before.until is not None and timedelta(0) <= now - before.until < window:
        return replace(before, factors=known)
    seen = observed(forecast, load)
    requests = load.requests or (number(load.rate_per_s) or 0.0) * load.window_s
    if seen is None or requests < FEWEST_REQUESTS:
        return Correction(factors=known, until=now)
    used = _used(starts, load, profile, seen, policy)
    factors = {
        role: corrected(
            known[role], used[role], STEPS[role], starts.is_settled(role, load.window_s, now)
        )
        for role in used
    }
    late = frozenset(role for role, share in used.items() if share > 1.0)
    return Correction(factors=known | factors, late=late, until=now)


def corrected(factor: float, used: float, step: float, is_settled: bool) -> float:
    """Return the factor after one more window, which used this share of what its mean may use.

    While replicas start, a late window says nothing new: they were ordered for that.
    """
    if used > SPARE:
        return min(factor + step, MOST) if used > 1.0 and is_settled else factor
    less = NONE + KEEP * (factor - NONE)
    return less if less > FORGOTTEN else NONE


def _used(
    starts: Starts, load: LoadSeen, profile: EngineProfile, seen: Workload, policy: Policy
) -> dict[Role, float]:
    """Return what each role used of the room for its mean; a role is left out that nobody knows.

    Prompts also wait for a decode engine to take them: a late first token says nothing about
    prefill while decode is late, whoever scales it, and prefill could carry the load by its curve.
    """
    targets, percentile = policy.targets, policy.targets.percentile
    told = {
        Role.PREFILL: (number(load.ttft_ms), targets.ttft_ms, TTFT_ROOM[percentile]),
        Role.DECODE: (number(load.itl_ms), targets.itl_ms, ITL_ROOM[percentile]),
    }
    found = {one: _share(alone_ms(one, profile, seen), *told[one]) for one in told}
    shares = {one: share for one, share in found.items() if share is not None}
    used = {role: shares[role] for role in policy.roles if role in shares}
    if Role.WORKER in policy.roles and shares:
        used[Role.WORKER] = max(shares.values())
    if shares.get(Role.DECODE, 0.0) > 1.0 and _carries(starts, profile, seen, policy):
        used.pop(Role.PREFILL, None)
    return used


def _share(lone_ms: float, latency_ms: float | None, target_ms: float, room: float) -> float | None:
    if latency_ms is None or lone_ms > HOPELESS * target_ms:
        return None
    return max(latency_ms - lone_ms, 0.0) / (room * (target_ms - lone_ms))


def _carries(starts: Starts, profile: EngineProfile, seen: Workload, policy: Policy) -> bool:
    known = starts.roles.get(Role.PREFILL)
    if known is None or known.ready <= 0:
        return False
    mean = replace(policy, targets=replace(policy.targets, percentile=Percentile.MEAN))
    return expected_ms(Role.PREFILL, profile, seen, known.ready, mean) <= policy.targets.ttft_ms
