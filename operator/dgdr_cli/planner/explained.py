"""What a planner's status says, put in the order in which a person asks.

Pure. Everything is text already, and what nobody knows reads "unknown", never 0.
"""

from dataclasses import dataclass
from datetime import datetime

from dgdr_api.models.base import Condition, ConditionStatus
from dgdr_api.models.dgd_v1beta1 import DynamoGraphDeployment
from dgdr_api.models.gpu_budget import GPUBudget
from dgdr_api.models.sla_planner import SLAPlanner, SLAPlannerSpec
from dgdr_api.models.sla_planner_policy import Bounds, Percentile
from dgdr_api.models.sla_planner_status import (
    SEEN,
    Capacity,
    DecisionRecord,
    Knowledge,
    RoleStatus,
    StartupSource,
)
from dgdr_cli.changes import changes_of
from dgdr_cli.planner.live import as_it_is
from dgdr_cli.planner.outlook import UNKNOWN, Outlook, in_text, outlook, spell
from dgdr_cli.planner.shares import Division, divided, seen_by
from dgdr_planner.observe.value import Trouble

SHOWN_DECISIONS = 8
# Conditions whose "True" is the trouble; of all others "False" is.
BAD_WHEN_TRUE = frozenset({"Stalled", "ScalingLimited"})
# Says that something is under way, which is neither good nor bad.
NEUTRAL = frozenset({"Reconciling"})
# Said of a plan: they stay as they were where there is none.
OF_THE_LAST_PLAN = frozenset({"SLAReachable", "ScalingLimited", "BudgetFeasible", "ProfileValid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleLine:
    """One role: from what is there to what the load needs, and why."""

    role: str
    replicas: str
    needed: str
    limits: str
    expected: str
    bound_by: str
    profile: str
    gpus: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One condition; ``trouble`` says whether somebody should look at it."""

    type: str
    reason: str
    message: str
    trouble: bool
    unknown: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision of the ledger."""

    age: str
    reason: str
    changes: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The whole screen; ``budget`` is the shared one, or says why it is not known."""

    title: str
    mode: str
    targets: str
    observed: str
    planned_for: str
    startup: str
    attainment: str
    shadow: str | None
    budget: Division | str | None
    roles: tuple[RoleLine, ...]
    outlook: Outlook
    coming: tuple[tuple[str, str], ...]
    verdicts: tuple[Verdict, ...]
    decisions: tuple[Decided, ...]


def explained(
    planner: SLAPlanner,
    now: datetime,
    budget: GPUBudget | None = None,
    target: DynamoGraphDeployment | None = None,
) -> Explanation:
    """Explain a planner as of ``now``: its status, and what of its target is ready now.

    ``budget`` is the shared one that it takes from.
    """
    planner = as_it_is(planner, target)
    spec, status, ahead = planner.spec, planner.status, outlook(planner, now)
    return Explanation(
        title=f"{planner.metadata.namespace or 'default'}/{planner.metadata.name}",
        mode=_mode(spec),
        targets=targets_text(spec),
        observed=_observed(planner, now),
        planned_for=_planned_for(planner),
        startup=_startup(planner),
        attainment=_attainment(planner),
        shadow=_shadow(planner),
        budget=_budget(planner, budget),
        roles=tuple(_role(planner, role) for role in status.roles),
        outlook=ahead,
        coming=tuple((in_text(event, now), event.text) for event in ahead.coming),
        verdicts=_verdicts(status.conditions, is_held=ahead.held is not None),
        decisions=tuple(_decided(one, now) for one in status.decisions[:SHOWN_DECISIONS]),
    )


def targets_text(spec: SLAPlannerSpec) -> str:
    """Say the targets."""
    which = spec.percentile
    word = "mean {}" if which is Percentile.MEAN else f"{{}} {which}"
    ttft, itl = word.format("TTFT"), word.format("ITL")
    return f"{ttft} <= {spec.sla.ttft_ms:g} ms, {itl} <= {spec.sla.itl_ms:g} ms"


def ago(moment: datetime, now: datetime) -> str:
    """Say how long ago something was, in one unit."""
    return f"{spell(max((now - moment).total_seconds(), 0.0))} ago"


def _mode(spec: SLAPlannerSpec) -> str:
    if spec.is_suspended:
        return "suspended"
    mode = "Shadow: decides, writes nothing" if spec.is_shadow else "Active"
    return f"{mode}, every {spec.interval_s:g} s"


def _observed(planner: SLAPlanner, now: datetime) -> str:
    seen = planner.status.observed
    if seen is None or seen.knowledge is None:
        return "no look yet"
    when = f", {ago(seen.time, now)}" if seen.time else ""
    if seen.knowledge is Knowledge.IDLE:
        return f"idle: fresh samples say that nothing was asked{when}"
    if seen.knowledge is Knowledge.UNKNOWN:
        return f"{UNKNOWN}: no fresh samples{when}"
    parts = [
        f"{_number(seen.requests_per_second, 2)} requests/s",
        f"ISL {_number(seen.isl, 0)}",
        f"OSL {_number(seen.osl, 0)}",
        f"TTFT {_number(seen.ttft_ms, 0, ' ms')}",
        f"ITL {_number(seen.itl_ms, 1, ' ms')}",
    ]
    return f"{', '.join(parts)}{when}"


def _planned_for(planner: SLAPlanner) -> str:
    told = planner.status.forecast
    if told is None:
        return "nothing was planned yet"
    expected = told.requests_per_second
    planned = told.planned_requests_per_second
    rate = expected if planned is None else planned
    parts = [
        f"{_number(rate, 2)} requests/s",
        f"ISL {_number(told.isl, 0)}",
        f"OSL {_number(told.osl, 0)}",
    ]
    if told.cached_share:
        parts.append(f"{100 * told.cached_share:.0f} % of the prompts' tokens cached")
    how = []
    if planned is not None and told.quantile is not None:
        seen = told.planned_by in (None, SEEN)
        of = "what was seen" if seen else f"the forecast of {told.planned_by}"
        how.append(f"quantile {told.quantile:g} of {of}")
    by = f" by {told.model}" if told.model else ""
    how.append(f"expected are {_number(expected, 2)} requests/s{by}")
    if told.horizon_seconds is not None:
        how.append(f"{told.horizon_seconds} s ahead")
    return f"{', '.join(parts)} ({', '.join(how)})"


def _startup(planner: SLAPlanner) -> str:
    status = planner.status
    if status.startup_seconds is None:
        return UNKNOWN
    measured = status.startup_source is StartupSource.MEASURED
    source = "measured here" if measured else "assumed until one was seen"
    return f"{status.startup_seconds} s, {source}"


def _attainment(planner: SLAPlanner) -> str:
    told = planner.status.attainment
    if told is None or not told.requests:
        return f"{UNKNOWN}: no request was counted"
    return (
        f"TTFT {_share(told.ttft)}, ITL {_share(told.itl)} of {told.requests:,} requests"
        " of the last hour"
    )


def _shadow(planner: SLAPlanner) -> str | None:
    told = planner.status.shadow
    if told is None:
        return None
    return (
        f"Active would have taken {told.gpu_hours:.2f} GPU-hours instead of"
        f" {told.actual_gpu_hours:.2f} since {told.since:%Y-%m-%d %H:%M} UTC"
    )


def _budget(planner: SLAPlanner, budget: GPUBudget | None) -> Division | str | None:
    name = planner.spec.budget_ref
    if name is None:
        return None
    if budget is None:
        return f"{UNKNOWN}: there is no GPUBudget {name}, or you may not read it"
    seen = seen_by(budget, planner.metadata.name)
    return f"{UNKNOWN}: {seen.message}" if isinstance(seen, Trouble) else divided(seen)


def _role(planner: SLAPlanner, role: RoleStatus) -> RoleLine:
    told = next((one for one in planner.status.capacity if one.role == role.role), None)
    bounds = getattr(planner.spec.roles, role.role, None)
    return RoleLine(
        role=role.role,
        replicas=_replicas(role),
        needed=_needed(role, told),
        limits=_limits(bounds),
        expected=_expected(role.role, told),
        bound_by=(told.binding if told else None) or UNKNOWN,
        profile=_in_profile(told),
        gpus=_gpus(role),
    )


def _replicas(role: RoleStatus) -> str:
    ready, wanted = _count(role.ready_replicas), _count(role.replicas)
    stopping = f" +{role.terminating_replicas} stopping" if role.terminating_replicas else ""
    return f"{ready}/{wanted} ready{stopping}"


def _needed(role: RoleStatus, told: Capacity | None) -> str:
    exact = told.needed if told else None
    whole = _count(role.desired_replicas)
    return whole if exact is None else f"{whole} ({exact:.2f})"


def _limits(bounds: Bounds | None) -> str:
    return "-" if bounds is None else f"{bounds.floor}-{bounds.max}"


def _expected(role: str, told: Capacity | None) -> str:
    if told is None or told.latency_ms is None:
        return UNKNOWN
    name = {"prefill": "TTFT ", "decode": "ITL "}.get(role, "")
    digits = 0 if role == "prefill" else 1
    return f"{name}{told.latency_ms:.{digits}f} ms"


def _in_profile(told: Capacity | None) -> str:
    if told is None or told.in_range is None:
        return UNKNOWN
    return "inside" if told.in_range else "beyond"


def _gpus(role: RoleStatus) -> str:
    if role.gpus_per_replica is None or role.replicas is None:
        return UNKNOWN
    held = role.replicas + (role.terminating_replicas or 0)
    return str(held * role.gpus_per_replica)


def _verdicts(conditions: tuple[Condition, ...], *, is_held: bool) -> tuple[Verdict, ...]:
    """Return the conditions, those that somebody should look at first.

    Where nothing is decided, what they say of a plan is no more than the last one's.
    """
    told = [_verdict(one, is_old=is_held and one.type in OF_THE_LAST_PLAN) for one in conditions]
    return tuple(sorted(told, key=lambda one: (not one.trouble, not one.unknown)))


def _verdict(condition: Condition, *, is_old: bool) -> Verdict:
    bad = ConditionStatus.TRUE if condition.type in BAD_WHEN_TRUE else ConditionStatus.FALSE
    return Verdict(
        type=condition.type,
        reason=condition.reason,
        message=f"when last planned: {condition.message}" if is_old else condition.message,
        trouble=condition.status is bad and condition.type not in NEUTRAL,
        unknown=condition.status is ConditionStatus.UNKNOWN,
    )


def _decided(record: DecisionRecord, now: datetime) -> Decided:
    return Decided(
        age=ago(record.time, now),
        reason=record.reason,
        changes=changes_of(record),
        message=record.message,
    )


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return UNKNOWN if value is None else f"{value:.{digits}f}{unit}"


def _count(value: int | None) -> str:
    return "?" if value is None else str(value)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else f"{100 * value:.1f} %"
