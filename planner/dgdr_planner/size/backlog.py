"""What queues beyond the plan, and how many replicas end that within a window.

A plan is for requests that arrive. Those that came while replicas were missing wait, and keep every
later one waiting, until something serves them besides. By the time that replicas which are ordered
now serve, the queue has grown by what comes over what the others serve; how many those are then is
known, because it is known since when they have been waited for. Engines empty a queue at full
speed. Requests stay where they were sent: more engines take new ones away from those that are
behind.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from dgdr_api.graph import Role
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.queueing import Dispatch
from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.observation import LoadSeen
from dgdr_planner.observe.startup import RoleStarts, Starts
from dgdr_planner.observe.value import number
from dgdr_planner.policy import Policy
from dgdr_planner.size.curves import Need, RoleSizing, workload

#: Of what the plan needs, how much a queue may make of it.
MOST = 1.5
#: Of a replica's speed, what a queue may leave to new requests.
LEAST_FREE = 0.25
#: Fewer requests than this over what is expected are chance.
FEWEST = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """Requests that wait for a role beyond its plan, and the replicas that end that in a window.

    ``holders`` are the replicas at which they wait: those that were ready when the queue began.
    """

    requests: float
    need: float
    holders: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inside:
    """Requests without a first token, those with one, and how many come each second."""

    queued: float
    decoding: float
    rate_per_s: float


def backlog(
    role: Role,
    sized: RoleSizing | None,
    profile: EngineProfile,
    load: LoadSeen,
    forecast: Forecast,
    policy: Policy,
    starts: Starts,
    now: datetime,
    before: Backlog | None,
) -> Backlog | None:
    """Return what a role has to serve beyond its plan; None where nothing is, or nobody knows."""
    inside = _inside(load)
    if inside is None or sized is None or forecast.planned <= 0 or role is Role.WORKER:
        return None
    if role is Role.PREFILL:
        found = _queue(inside, profile, load, forecast, policy, starts, now, before)
    else:
        found = _batch(inside, sized, forecast, policy)
    if found is None:
        return None
    return replace(found, need=min(found.need, MOST * sized.need.grow))


def with_backlog(sized: RoleSizing | None, found: Backlog | None) -> RoleSizing | None:
    """Return what a role needs for its plan and for what waits."""
    if sized is None or found is None:
        return sized
    need = sized.need
    return replace(
        sized, need=Need(grow=max(need.grow, found.need), hold=max(need.hold, found.need))
    )


def _inside(load: LoadSeen) -> _Inside | None:
    queued, inside = number(load.queued), number(load.in_flight)
    rate_per_s = number(load.rate_per_s)
    if queued is None or inside is None or not rate_per_s:
        return None
    return _Inside(queued=queued, decoding=max(inside - queued, 0.0), rate_per_s=rate_per_s)


def _queue(
    inside: _Inside,
    profile: EngineProfile,
    load: LoadSeen,
    forecast: Forecast,
    policy: Policy,
    starts: Starts,
    now: datetime,
    before: Backlog | None,
) -> Backlog | None:
    """Return the queue of prompts beyond what waits while all are in time."""
    requests = workload(forecast, inside.rate_per_s, load)
    known = starts.roles.get(Role.PREFILL)
    waiting = inside.queued - inside.rate_per_s * policy.targets.ttft_ms / 1000.0
    if requests is None or known is None or known.ready <= 0 or waiting < FEWEST:
        return None
    prompts = requests.prompts()
    served_ms = profile.prefill.ttft_of_lengths(requests.computed(prompts))
    each_per_s = 1000.0 * profile.prefill.ranks / float(prompts.shares @ served_ms)
    shared = policy.dispatch is Dispatch.SHARED
    holders = known.ready if before is None or shared else min(before.holders, known.ready)
    # What comes until then is between what came last and what is planned for.
    comes_per_s = (inside.rate_per_s + forecast.planned) / 2.0
    left = _left(waiting, comes_per_s, each_per_s, holders, known, starts.seconds, now)
    drain_per_s = left / policy.interval_s
    if shared:
        need = (forecast.planned + drain_per_s) / each_per_s
    else:
        # Who waits was given to a replica for good: others only keep new requests from it.
        free_per_s = max(each_per_s - drain_per_s / holders, LEAST_FREE * each_per_s)
        need = forecast.planned / free_per_s
    return Backlog(requests=waiting, need=need, holders=holders)


def _left(
    waiting: float,
    comes_per_s: float,
    each_per_s: float,
    holders: int,
    known: RoleStarts,
    horizon_s: float,
    now: datetime,
) -> float:
    """Return what still waits at the holders when a replica serves that is ordered now.

    Each that starts meanwhile takes its part of what arrives.
    """
    ages_s = sorted(((now - since).total_seconds() for since in known.waiting), reverse=True)
    ready_s = [min(max(horizon_s - age_s, 0.0), horizon_s) for age_s in ages_s]
    passed_s = 0.0
    for started, until_s in enumerate([*ready_s, horizon_s]):
        theirs_per_s = comes_per_s * holders / (known.ready + started) - each_per_s * holders
        waiting = max(waiting + theirs_per_s * (until_s - passed_s), 0.0)
        passed_s = until_s
    return waiting


def _batch(
    inside: _Inside, sized: RoleSizing, forecast: Forecast, policy: Policy
) -> Backlog | None:
    """Return the requests that are being decoded beyond those of a batch that is in time."""
    expected = inside.rate_per_s * (forecast.osl or 0.0) * policy.targets.itl_ms / 1000.0
    extra = inside.decoding - expected
    if extra < max(FEWEST, 0.25 * expected) or sized.answer.replicas_exact <= 0:
        return None
    each_per_s = forecast.planned / sized.answer.replicas_exact
    return Backlog(
        requests=extra, need=(inside.rate_per_s + extra / policy.interval_s) / each_per_s
    )
