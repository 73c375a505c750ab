"""Decisions in words: the sentences of conditions, events and the ledger of decisions."""

from datetime import UTC, datetime

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import WhenUnreachable
from dgdr_perf.sizing import Binding, Percentile, Sizing, Targets
from dgdr_perf.sizing_result import SAME, Expected
from dgdr_planner.forecast import Forecast
from dgdr_planner.limit.guards import Limit
from dgdr_planner.observe.observation import LoadSeen, RoleSeen
from dgdr_planner.observe.value import Value
from dgdr_planner.plan import Plan, RolePlan
from dgdr_planner.policy import Policy

# What rounds to nothing is not worth a word.
LEAST_TOLD = 0.001


def change(role: RolePlan, forecast: Forecast, policy: Policy) -> str:
    """Say what happens to one role, and why."""
    verb = "Would scale" if policy.shadow else "Scaled"
    what = f"{verb} {role.seen.role} from {role.current} to {role.replicas}"
    return f"{what}: {why(role, forecast, policy)}"


def why(role: RolePlan, forecast: Forecast, policy: Policy) -> str:
    """Say which load needs how many replicas for which target."""
    tail = _limited(role, policy)
    if forecast.planned == 0 or role.answer is None:
        return f"no requests{tail}"
    answer = role.answer
    need = answer.replicas_exact if role.need is None else role.need
    return (
        f"{load(role.seen.role, forecast)} need {need:.2f} replicas, {answer.busy:.2f} of them"
        f" busy, for {_target(role.seen.role, policy.targets)} ({_expected(answer)})"
        f"{_corrected(role)}{_waiting(role)}{_raised(forecast)}{tail}"
    )


def load(role: Role, forecast: Forecast) -> str:
    """Describe the part of the load that a role carries."""
    return f"{forecast.planned:.1f} requests/s of {_request(role, forecast)}"


def unreachable(role: RolePlan, forecast: Forecast, policy: Policy) -> str | None:
    """Say why no number of replicas meets the target, and what is done; None when one does."""
    if role.answer is None:
        return None
    request = _request(role.seen.role, forecast)
    why = shortfall(role.answer, request, policy.targets)
    return why and f"{why}; {_without_a_target(role, policy)}"


def _without_a_target(role: RolePlan, policy: Policy) -> str:
    """Say what ``sla.whenUnreachable`` makes of a role."""
    told = f"whenUnreachable {policy.when_unreachable}: {role.seen.role}"
    match policy.when_unreachable:
        case WhenUnreachable.HOLD:
            return f"{told} stays at {role.replicas}"
        case WhenUnreachable.MAX_OUT:
            return f"{told} takes all that roles and budget allow"
        case WhenUnreachable.BEST_EFFORT if role.answer and role.answer.chased is not None:
            count = role.answer.replicas
            return f"{told} gets {count} for 90 % of what is possible, not {role.answer.chased}"
        case WhenUnreachable.BEST_EFFORT:
            return f"{told} gets what brings nearly all that is possible"


def other_router(plan: Plan, policy: Policy) -> str | None:
    """Say what another router mode would need; None where that is not much less."""
    told = [
        f"with {policy.dispatch} dispatch {role.seen.role} needs {role.answer.replicas} replicas,"
        f" a least-loaded router (Dynamo 1.6) would need {role.least_loaded}"
        for role in plan.roles
        if role.answer is not None and role.least_loaded is not None
    ]
    return "; ".join(told) or None


def _request(role: Role, forecast: Forecast) -> str:
    return lengths(role, forecast.isl or 0.0, forecast.osl or 0.0)


def shortfall(answer: Sizing, request: str, targets: Targets) -> str | None:
    """Say why the replicas of an answer do not meet the targets; None when they do.

    ``request`` names the lengths of a request.
    """
    if answer.reachable:
        return None
    late, expected = _late(answer, targets)
    target, limit_ms = _target(late, targets), _limit_ms(late, targets)
    if answer.binding is Binding.LIMIT:
        return f"{target} would need more replicas than any cluster has"
    if not answer.fits:
        return f"a request of {request} does not fit into the KV cache of one replica"
    alone = f"a request of {request} alone takes {_ms(expected.alone_ms)} ms"
    if expected.alone_ms > limit_ms:
        return f"{target} cannot be met: {alone}"
    count = "1 replica" if answer.replicas == 1 else f"{answer.replicas} replicas"
    chased = f"{count} would have {_ms(expected.ms)} ms"
    return f"{target} leaves too little room for others: {alone}, and {chased}"


def _late(answer: Sizing, targets: Targets) -> tuple[Role, Expected]:
    """Return whose target is missed, and that latency; an aggregated worker answers for both."""
    both = ((Role.PREFILL, answer.ttft), (Role.DECODE, answer.itl))
    told = [(role, expected) for role, expected in both if expected is not None]
    late = (one for one in told if one[1].ms > _limit_ms(one[0], targets) * SAME)
    return next(late, told[0])


def _ms(value: float) -> str:
    return f"{value:.0f}" if value >= 100.0 else f"{value:.1f}"


def limited(plan: Plan) -> str | None:
    """Say which limit keeps a role below what the load needs; None when none does."""
    short = [
        f"{role.seen.role} needs {role.needed} replicas, {_SHORT[role.limit]} {role.replicas}"
        for role in plan.roles
        if role.limit in _SHORT
    ]
    return "; ".join(short) or None


def extrapolated(plan: Plan) -> str | None:
    """Say which role is planned beyond what was measured; None when none is."""
    beyond = [
        str(role.seen.role) for role in plan.roles if role.answer and not role.answer.in_range
    ]
    if not beyond:
        return None
    return f"{' and '.join(beyond)}: the load lies outside of what was measured; extrapolated"


def late_alone(plan: Plan) -> str | None:
    """Say which prompts no replica is asked for; None where a promille or less is late alone."""
    share = max((role.answer.late_alone for role in plan.roles if role.answer), default=0.0)
    if share < LEAST_TOLD:
        return None
    return f"{100 * share:.1f} % of the prompts are late even alone: no replica is asked for them"


def assumed_lengths(load: LoadSeen) -> str:
    """Say which lengths are told by their mean alone; nothing where none are, or no load is."""
    if not isinstance(load.rate_per_s, Value):
        return ""
    shapes = (("prompts", load.isl_quantiles), ("answers", load.osl_quantiles))
    missing = " and ".join(name for name, points in shapes if points is None)
    return f"; how the lengths of {missing} spread is assumed, no histogram says it" * bool(missing)


def edited(plan: Plan) -> str | None:
    """Say which numbers of somebody else's are left alone; None when none are."""
    told = [
        f"{role.seen.role} was set to {role.edit.replicas} by {role.edit.by or 'somebody else'},"
        f" left alone until {role.edit.until:%Y-%m-%dT%H:%M:%SZ}"
        for role in plan.roles
        if role.edit is not None
    ]
    return "; ".join(told) or None


def in_motion(plan: Plan) -> str | None:
    """Say which replicas start, stop or are still to be asked for; None when all are settled."""
    told = [
        f"{role.seen.role}: {role.replicas} wanted, {_ready(role.seen)} ready,"
        f" {role.seen.terminating} stopping"
        for role in plan.roles
        if role.changes or role.seen.pending or role.seen.terminating
    ]
    told += [
        f"{role.seen.role} waits for GPUs that are not free yet"
        for role in plan.roles
        if role.limit is Limit.RELEASE
    ]
    return "; ".join(told) or None


def unreported(plan: Plan) -> str | None:
    """Say of which roles nobody knows how many replicas are ready; None when all are known."""
    roles = [str(role.seen.role) for role in plan.roles if role.seen.ready is None]
    named = " and ".join(roles)
    return f"nobody reports how many replicas of {named} are ready" if roles else None


def _ready(seen: RoleSeen) -> str:
    return "?" if seen.ready is None else str(seen.ready)


_SHORT = {
    Limit.MAXIMUM: "spec.roles allows",
    Limit.STEP_UP: "one step goes to",
    Limit.STABILIZING_UP: "until it has done so for long enough it keeps",
    Limit.BUDGET: "the budget allows",
    Limit.RELEASE: "until GPUs are free it has",
}


def lengths(role: Role, isl: float, osl: float) -> str:
    """Name what a request of the role is long by."""
    return f"ISL {isl:.0f}" if role is Role.PREFILL else f"ISL {isl:.0f}, OSL {osl:.0f}"


def _limit_ms(role: Role, targets: Targets) -> float:
    return targets.ttft_ms if role is Role.PREFILL else targets.itl_ms


def _target(role: Role, targets: Targets) -> str:
    name = "TTFT" if role is Role.PREFILL else "ITL"
    which = targets.percentile
    named = f"mean {name}" if which is Percentile.MEAN else f"{name} {which}"
    return f"{named} <= {_limit_ms(role, targets):g} ms"


def _expected(answer: Sizing) -> str:
    bound = "" if answer.binding is Binding.FLOOR else f", bound by {answer.binding}"
    return f"{answer.replicas} would have {answer.latency_ms:.0f} ms{bound}"


def _corrected(role: RolePlan) -> str:
    # What rounds to 1.00 is not worth a word.
    if role.factor < 1.005:
        return ""
    return f"; that is {role.factor:.2f} x what the curves say, because requests were late"


def _waiting(role: RolePlan) -> str:
    if role.backlog is None:
        return ""
    found = role.backlog
    return (
        f"; {found.requests:.0f} requests are behind, {found.need:.2f} replicas end that within a"
        " window"
    )


def _raised(forecast: Forecast) -> str:
    if forecast.raised is None:
        return ""
    look, over = forecast.raised.look, forecast.raised.over_per_s
    at = datetime.fromtimestamp(look.at_s, UTC)
    return (
        f"; raised from {over:.1f} requests/s at {at:%H:%M:%S} by a fast look:"
        f" {look.rate_per_s:.1f} in its {look.window_s:.0f} s"
    )


def _limited(role: RolePlan, policy: Policy) -> str:
    match role.limit:
        case Limit.MAXIMUM | Limit.MINIMUM:
            return f"; spec.roles allows {role.replicas}"
        case Limit.STEP_UP | Limit.STEP_DOWN:
            return f"; at most {abs(role.replicas - role.current)} at once"
        case Limit.STABILIZING:
            return f"; the highest need of the last {policy.stabilization_s:.0f} s counts"
        case Limit.STABILIZING_UP:
            return f"; the lowest need of the last {policy.stabilization_up_s:.0f} s counts"
        case Limit.BUDGET:
            return f"; the budget allows {role.replicas}"
        case Limit.RELEASE:
            return "; more wait for GPUs that are not free yet"
        case Limit.EDITED:
            return "; somebody else set the number"
        case None if role.replicas < role.current:
            return f" for {policy.stabilization_s:.0f} s"
        case None:
            return ""
