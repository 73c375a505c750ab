"""Which windows teach how much slower engines are than their curves.

A window teaches about a role whose replicas were all ready and did not change in it, when by the
curves they could carry its load, and the load of the window before as well: what was left over
from a burst makes a window slow that its own load does not explain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_planner.core.feedback import LEAST_RATIO, learned
from dgdr_planner.core.forecast import Forecast
from dgdr_planner.core.observation import LoadSeen, number
from dgdr_planner.core.policy import Policy
from dgdr_planner.core.sized import expected_ms, observed
from dgdr_planner.core.state import State

# Of a window: ticks are not exact, but a look at nearly the same samples is no other window.
ANOTHER = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """How much slower than its curves each role is, and who carried the window that ended then."""

    ratios: Mapping[Role, float]
    carried: frozenset[Role]
    at: datetime | None


def corrections(
    state: State,
    load: LoadSeen,
    profile: EngineProfile,
    forecast: Forecast,
    policy: Policy,
    now: datetime,
) -> Corrections:
    """Return what is known after this window; the same as before while it is still the last one."""
    known = {role: state.ratios.get(role, LEAST_RATIO) for role in policy.roles}
    window = timedelta(seconds=ANOTHER * load.window_s)
    if state.taught_at is not None and timedelta(0) <= now - state.taught_at < window:
        return Corrections(ratios=known, carried=state.carried, at=state.taught_at)
    expected = {
        role: ms
        for role in policy.roles
        if (ms := _expected_ms(role, state, load, profile, forecast, policy, now)) is not None
    }
    requests = load.requests or (number(load.rate_per_s) or 0.0) * load.window_s
    taught = {
        role: learned(known[role], _observed_ms(role, load), expected[role], requests)
        for role in expected.keys() & state.carried
    }
    return Corrections(ratios=known | taught, carried=frozenset(expected), at=now)


def _expected_ms(
    role: Role,
    state: State,
    load: LoadSeen,
    profile: EngineProfile,
    forecast: Forecast,
    policy: Policy,
    now: datetime,
) -> float | None:
    """Return the latency of a window that the role could carry; None of all others."""
    seen = observed(forecast, load)
    # An aggregated engine has two latencies and one number: which of them is off is not known.
    if seen is None or role is Role.WORKER or not state.starts.is_settled(role, load.window_s, now):
        return None
    ms = expected_ms(role, profile, seen, state.starts.roles[role].replicas, policy)
    target_ms = policy.targets.ttft_ms if role is Role.PREFILL else policy.targets.itl_ms
    return ms if ms <= target_ms else None


def _observed_ms(role: Role, load: LoadSeen) -> float | None:
    return number(load.ttft_ms if role is Role.PREFILL else load.itl_ms)
