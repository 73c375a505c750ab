"""What the conditions say about a pass."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from dgdr_planner.core import explain
from dgdr_planner.core.decide import Decision, Plan
from dgdr_planner.core.forecast import FORECASTER_MISSING
from dgdr_planner.core.guards import Limit
from dgdr_planner.core.observation import Idle, Observation, Trouble, Unknown, Value
from dgdr_planner.core.policy import Policy


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
class Verdict:
    """One condition; a status of None is Unknown."""

    type: ConditionType
    status: bool | None
    reason: str
    message: str


def verdicts(
    seen: Observation, decision: Decision, policy: Policy, failure: Trouble | None
) -> Iterator[Verdict]:
    """Return the conditions that a pass has something to say about; the others stay."""
    outcome = decision.outcome
    yield _ready(seen, outcome, policy, failure)
    yield _stalled(outcome)
    if not isinstance(seen.target, Trouble):
        yield _metrics(seen)
    if isinstance(outcome, Plan):
        yield _profile_used(outcome)
        yield _reachable(outcome, policy)
        yield _limited(outcome)
        yield _reconciling(outcome)
        yield _within_budget(outcome)
        return
    yield _nothing_changed(ConditionType.RECONCILING, outcome)
    if outcome.reason in BUDGET_TROUBLES:
        yield Verdict(ConditionType.BUDGET_FEASIBLE, False, outcome.reason, outcome.message)
    elif outcome.reason in PROFILE_TROUBLES:
        yield Verdict(ConditionType.PROFILE_VALID, False, outcome.reason, outcome.message)


def _nothing_changed(kind: ConditionType, trouble: Trouble) -> Verdict:
    return Verdict(kind, False, trouble.reason, f"nothing is changed: {trouble.message}")


def _ready(
    seen: Observation, outcome: Plan | Trouble, policy: Policy, failure: Trouble | None
) -> Verdict:
    kind = ConditionType.READY
    if isinstance(outcome, Trouble):
        reason = outcome.reason
        if reason in PROFILE_TROUBLES:
            reason = Reason.PROFILE_INVALID
        elif not isinstance(seen.target, Trouble) and _is_about_load(outcome, seen):
            reason = Reason.METRICS_UNAVAILABLE
        return Verdict(kind, False, reason, f"nothing is changed: {outcome.message}")
    if failure is not None:
        return Verdict(kind, False, failure.reason, failure.message)
    if policy.shadow:
        return Verdict(kind, True, Reason.SHADOW, "decides and reports, but scales nothing")
    return Verdict(kind, True, Reason.PLANNING, f"decides every {policy.interval_s:g} s")


def _is_about_load(trouble: Trouble, seen: Observation) -> bool:
    rate = seen.load.rate_per_s
    return isinstance(rate, Unknown) and trouble == Trouble(rate.reason, rate.cause)


def _metrics(seen: Observation) -> Verdict:
    kind = ConditionType.METRICS_AVAILABLE
    match seen.load.rate_per_s:
        case Unknown(reason, cause):
            return Verdict(kind, False, reason, cause)
        case Idle():
            text = f"no request for {seen.load.window_s:.0f} s, by fresh samples"
            return Verdict(kind, True, Reason.FRESH, text)
        case Value(rate_per_s):
            text = f"{rate_per_s:.1f} requests/s at {seen.load.frontends} frontends"
            return Verdict(kind, True, Reason.FRESH, text)


def _profile_used(plan: Plan) -> Verdict:
    if plan.unlike:
        text = f"{'; '.join(plan.unlike)}; planned with this profile all the same: profile again"
        return Verdict(ConditionType.PROFILE_VALID, False, Reason.ENGINE_CHANGED, text)
    text = explain.extrapolated(plan) or "the load lies within what was measured"
    return Verdict(ConditionType.PROFILE_VALID, True, Reason.PROFILE_USED, text)


def _reachable(plan: Plan, policy: Policy) -> Verdict:
    kind = ConditionType.SLA_REACHABLE
    if all(role.answer is None for role in plan.roles):
        return Verdict(kind, None, Reason.NO_TRAFFIC, "no request was seen yet")
    told = [explain.unreachable(role, plan.forecast, policy.targets) for role in plan.roles]
    troubles = [text for text in told if text]
    if troubles:
        return Verdict(kind, False, Reason.UNREACHABLE, "; ".join(troubles))
    return Verdict(kind, True, Reason.REACHABLE, "enough replicas meet the targets")


def _limited(plan: Plan) -> Verdict:
    kind = ConditionType.SCALING_LIMITED
    if text := explain.edited(plan):
        return Verdict(kind, True, Reason.HAND_EDITED, text)
    if text := explain.limited(plan):
        by_gpus = any(role.limit in (Limit.BUDGET, Limit.RELEASE) for role in plan.roles)
        reason = Reason.LIMITED_BY_BUDGET if by_gpus else Reason.LIMITED
        return Verdict(kind, True, reason, text)
    return Verdict(kind, False, Reason.WITHIN_LIMITS, "replicas follow the load")


def _reconciling(plan: Plan) -> Verdict:
    kind = ConditionType.RECONCILING
    if text := explain.in_motion(plan):
        return Verdict(kind, True, Reason.SCALING, text)
    return Verdict(kind, False, Reason.SETTLED, "all replicas are ready")


def _stalled(outcome: Plan | Trouble) -> Verdict:
    kind = ConditionType.STALLED
    if isinstance(outcome, Trouble) and outcome.reason in STALLED:
        return Verdict(kind, True, outcome.reason, f"until somebody acts: {outcome.message}")
    if isinstance(outcome, Trouble):
        return Verdict(kind, False, Reason.PROGRESSING, f"it waits: {outcome.message}")
    return Verdict(kind, False, Reason.PROGRESSING, "nobody has to act")


def _within_budget(plan: Plan) -> Verdict:
    kind = ConditionType.BUDGET_FEASIBLE
    if plan.share_gpus is None:
        return Verdict(kind, True, Reason.NO_BUDGET, "spec.budget is not set")
    held = sum(role.seen.held * role.seen.gpus_per_replica for role in plan.roles)
    text = f"holds {held} GPUs, its share is {plan.share_gpus}"
    if held > plan.share_gpus:
        return Verdict(kind, False, Reason.OVER_BUDGET, text)
    return Verdict(kind, True, Reason.WITHIN_BUDGET, text)
