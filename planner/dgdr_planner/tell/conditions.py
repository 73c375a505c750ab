"""What the conditions say about a pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from dgdr_api.conditions import condition, with_condition
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_kube.errors import ClusterError
from dgdr_planner.forecast import FORECASTER_MISSING
from dgdr_planner.limit.guards import Limit
from dgdr_planner.observe.observation import LoadSeen, Observation
from dgdr_planner.observe.value import Idle, Trouble, Unknown, Value
from dgdr_planner.plan import Decision, Plan
from dgdr_planner.policy import Policy
from dgdr_planner.tell import explain


class ConditionType(StrEnum):
    """Conditions of an SLAPlanner."""

    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    METRICS_AVAILABLE = "MetricsAvailable"
    PROFILE_VALID = "ProfileValid"
    SLA_REACHABLE = "SLAReachable"
    BUDGET_FEASIBLE = "BudgetFeasible"
    SCALING_LIMITED = "ScalingLimited"


class Reason(StrEnum):
    """Reasons that scripts may rely on; troubles bring their own."""

    PLANNING = "Planning"
    SHADOW = "Shadow"
    SUSPENDED = "Suspended"
    METRICS_UNAVAILABLE = "MetricsUnavailable"
    PROFILE_INVALID = "ProfileInvalid"
    FRESH = "FreshSamples"
    PROFILE_USED = "ProfileUsed"
    ENGINE_CHANGED = "EngineChanged"
    REACHABLE = "Reachable"
    UNREACHABLE = "Unreachable"
    PASS_FAILED = "PassFailed"
    NO_TRAFFIC = "NoTraffic"
    WITHIN_LIMITS = "WithinLimits"
    LIMITED = "LimitedByPolicy"
    LIMITED_BY_BUDGET = "LimitedByBudget"
    HAND_EDITED = "HandEdited"
    SETTLED = "Settled"
    SCALING = "Scaling"
    PROGRESSING = "Progressing"
    NO_BUDGET = "NoBudget"
    WITHIN_BUDGET = "WithinBudget"
    OVER_BUDGET = "OverBudget"
    BUDGET_TROUBLE = "BudgetInfeasible"


PROFILE_TROUBLES = frozenset({"ProfileNotFound", "ProfileUnreadable"})
BUDGET_TROUBLES = frozenset(
    {Reason.BUDGET_TROUBLE, "BudgetNotFound", "BudgetUnreadable", "NotAMember"}
)
# What waits for a user's change, not for time.
STALLED = (
    PROFILE_TROUBLES
    | BUDGET_TROUBLES
    | {"RolesMissing", "RolesAmbiguous", "TargetUnreadable", "OwnershipConflict"}
    | {FORECASTER_MISSING}
)


@dataclass(frozen=True, slots=True)
class Statement:
    """One condition; a status of None is Unknown."""

    type: ConditionType
    status: bool | None
    reason: str
    message: str


def statements(
    seen: Observation, decision: Decision, policy: Policy, failure: Trouble | None
) -> Iterator[Statement]:
    """Return the conditions that a pass has something to say about; the others stay."""
    outcome = decision.outcome
    yield _ready(seen, outcome, policy, failure)
    yield _stalled(outcome)
    if not isinstance(seen.target, Trouble):
        yield _metrics(seen)
    if isinstance(outcome, Plan):
        yield _profile_used(outcome)
        yield _reachable(seen.load, outcome, policy)
        yield _limited(outcome)
        yield _reconciling(outcome)
        yield _within_budget(outcome)
        return
    yield _nothing_changed(ConditionType.RECONCILING, outcome)
    if outcome.reason in BUDGET_TROUBLES:
        yield Statement(ConditionType.BUDGET_FEASIBLE, False, outcome.reason, outcome.message)
    elif outcome.reason in PROFILE_TROUBLES:
        yield Statement(ConditionType.PROFILE_VALID, False, outcome.reason, outcome.message)


def _nothing_changed(kind: ConditionType, trouble: Trouble) -> Statement:
    return Statement(kind, False, trouble.reason, f"nothing is changed: {trouble.message}")


def _ready(
    seen: Observation, outcome: Plan | Trouble, policy: Policy, failure: Trouble | None
) -> Statement:
    kind = ConditionType.READY
    if isinstance(outcome, Trouble):
        reason = outcome.reason
        if reason in PROFILE_TROUBLES:
            reason = Reason.PROFILE_INVALID
        elif not isinstance(seen.target, Trouble) and _is_about_load(outcome, seen):
            reason = Reason.METRICS_UNAVAILABLE
        return Statement(kind, False, reason, f"nothing is changed: {outcome.message}")
    if failure is not None:
        return Statement(kind, False, failure.reason, failure.message)
    if policy.shadow:
        return Statement(kind, True, Reason.SHADOW, "decides and reports, but scales nothing")
    return Statement(kind, True, Reason.PLANNING, f"decides every {policy.interval_s:g} s")


def _is_about_load(trouble: Trouble, seen: Observation) -> bool:
    rate = seen.load.rate_per_s
    return isinstance(rate, Unknown) and trouble == Trouble(rate.reason, rate.cause)


def _metrics(seen: Observation) -> Statement:
    kind = ConditionType.METRICS_AVAILABLE
    match seen.load.rate_per_s:
        case Unknown(reason, cause):
            return Statement(kind, False, reason, cause)
        case Idle():
            text = f"no request for {seen.load.window_s:.0f} s, by fresh samples"
            return Statement(kind, True, Reason.FRESH, text)
        case Value(rate_per_s):
            text = f"{rate_per_s:.1f} requests/s at {seen.load.frontends} frontends"
            text += explain.assumed_lengths(seen.load)
            return Statement(kind, True, Reason.FRESH, text)


def _profile_used(plan: Plan) -> Statement:
    if plan.unlike:
        text = f"{'; '.join(plan.unlike)}; planned with this profile all the same: profile again"
        return Statement(ConditionType.PROFILE_VALID, False, Reason.ENGINE_CHANGED, text)
    text = explain.extrapolated(plan) or "the load lies within what was measured"
    return Statement(ConditionType.PROFILE_VALID, True, Reason.PROFILE_USED, text)


def _reachable(load: LoadSeen, plan: Plan, policy: Policy) -> Statement:
    kind = ConditionType.SLA_REACHABLE
    if all(role.answer is None for role in plan.roles):
        return Statement(kind, None, Reason.NO_TRAFFIC, "no request was seen yet")
    told = [explain.unreachable(role, plan.forecast, policy) for role in plan.roles]
    troubles = [text for text in told if text]
    notes = [
        note for note in (explain.late_alone(plan), explain.other_router(plan, policy)) if note
    ]
    if troubles:
        text = "; ".join((*troubles, *notes)) + explain.assumed_lengths(load)
        return Statement(kind, False, Reason.UNREACHABLE, text)
    text = "; ".join(("enough replicas meet the targets", *notes)) + explain.assumed_lengths(load)
    return Statement(kind, True, Reason.REACHABLE, text)


def _limited(plan: Plan) -> Statement:
    kind = ConditionType.SCALING_LIMITED
    if text := explain.edited(plan):
        return Statement(kind, True, Reason.HAND_EDITED, text)
    if text := explain.limited(plan):
        by_gpus = any(role.limit in (Limit.BUDGET, Limit.RELEASE) for role in plan.roles)
        reason = Reason.LIMITED_BY_BUDGET if by_gpus else Reason.LIMITED
        return Statement(kind, True, reason, text)
    return Statement(kind, False, Reason.WITHIN_LIMITS, "no limit keeps a role below what it needs")


def _reconciling(plan: Plan) -> Statement:
    kind = ConditionType.RECONCILING
    if text := explain.in_motion(plan):
        return Statement(kind, True, Reason.SCALING, text)
    text = explain.unreported(plan) or "all replicas are ready"
    return Statement(kind, False, Reason.SETTLED, text)


def _stalled(outcome: Plan | Trouble) -> Statement:
    kind = ConditionType.STALLED
    if isinstance(outcome, Trouble) and outcome.reason in STALLED:
        return Statement(kind, True, outcome.reason, f"until somebody acts: {outcome.message}")
    if isinstance(outcome, Trouble):
        return Statement(kind, False, Reason.PROGRESSING, f"it waits: {outcome.message}")
    return Statement(kind, False, Reason.PROGRESSING, "nobody has to act")


def _within_budget(plan: Plan) -> Statement:
    kind = ConditionType.BUDGET_FEASIBLE
    if plan.share_gpus is None:
        return Statement(kind, True, Reason.NO_BUDGET, "spec.budget is not set")
    held = sum(role.seen.held * role.seen.gpus_per_replica for role in plan.roles)
    text = f"holds {held} GPUs, its share is {plan.share_gpus}"
    if held > plan.share_gpus:
        return Statement(kind, False, Reason.OVER_BUDGET, text)
    return Statement(kind, True, Reason.WITHIN_BUDGET, text)


MAX_CAUSE_CHARS = 200


def short_cause(exc: Exception) -> str:
    """Say what failed, to people who may not read logs.

    What the API server says is for users. The text of any other error may quote an argument, and
    with it a secret: its kind must do.
    """
    if not isinstance(exc, ClusterError):
        return f"unexpected {type(exc).__name__}; the planner's log says more"
    text = " ".join(str(exc).split())
    return text if len(text) <= MAX_CAUSE_CHARS else f"{text[: MAX_CAUSE_CHARS - 3]}..."


def failed(old: SLAPlannerStatus, cause: str, generation: int, now: datetime) -> SLAPlannerStatus:
    """Return the status that says so; all else stays as it was."""
    text = f"nothing is changed: {cause}"
    fresh = condition(ConditionType.READY, False, Reason.PASS_FAILED, text, now, generation)
    return old.model_copy(update={"conditions": with_condition(old.conditions, fresh, now)})
