"""What a window is answered with: replicas, and the sentence that a person would want."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dgdr_api.graph import Role
from dgdr_planner.observe.value import Trouble
from dgdr_planner.plan import Plan, RolePlan
from dgdr_planner.policy import Policy
from dgdr_planner.tell import explain

DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """Replicas to have, by scaled role; None where nobody ever knew how many there are.

    ``binding`` is what the replicas are due to, of the role that is nearest to needing one more;
    ``forecast_rate_per_s`` the load that they are chosen for; ``reachable`` whether enough
    replicas would meet the targets. None: not known, or nothing was sized.
    """

    replicas: Mapping[Role, int | None]
    reason: str
    decision_id: int
    binding: str | None = None
    forecast_rate_per_s: float | None = None
    reachable: bool | None = None

    def to_json(self) -> str:
        """Return one line."""
        rate = self.forecast_rate_per_s
        return json.dumps(
            {
                **{str(role): replicas for role, replicas in self.replicas.items()},
                "reason": self.reason,
                "binding": self.binding,
                "forecast_rate_per_s": None if rate is None else round(rate, DIGITS),
                "reachable": self.reachable,
                "decision_id": self.decision_id,
            },
            ensure_ascii=False,
            allow_nan=False,
        )


def planned(plan: Plan, policy: Policy, decision_id: int, *, is_idle: bool) -> Reply:
    """Reply with a plan; a shadow tells what it would do, and keeps what is there."""
    # Nobody waits for words about the traces of load that a quantile still plans for.
    told = replace(plan.forecast, rate_per_s=0.0, planned_rate_per_s=0.0)
    sentence = _sentence(replace(plan, forecast=told) if is_idle else plan, policy)
    return Reply(
        replicas={
            role.seen.role: role.seen.replicas if policy.shadow else role.replicas
            for role in plan.roles
        },
        reason=sentence,
        decision_id=decision_id,
        binding=_binding(plan),
        forecast_rate_per_s=plan.forecast.planned,
        reachable=_reachable(plan),
    )


def held(trouble: Trouble, present: Mapping[Role, int | None], decision_id: int) -> Reply:
    """Reply that everything stays as it is."""
    reason = f"Nothing is changed: {trouble.message}"
    return Reply(replicas=present, reason=reason, decision_id=decision_id)


def _sentence(plan: Plan, policy: Policy) -> str:
    told = [_role(role, plan, policy) for role in plan.roles]
    missed = [explain.unreachable(role, plan.forecast, policy) for role in plan.roles]
    beyond = explain.extrapolated(plan)
    return "; ".join([*told, *(text for text in missed if text), *([beyond] if beyond else [])])


def _role(role: RolePlan, plan: Plan, policy: Policy) -> str:
    why = explain.why(role, plan.forecast, policy)
    if not role.changes:
        return f"{role.seen.role} stays at {role.replicas}: {why}"
    verb = "would go" if policy.shadow else "goes"
    return f"{role.seen.role} {verb} from {role.current} to {role.replicas}: {why}"


def _binding(plan: Plan) -> str | None:
    sized = [role for role in plan.roles if role.answer is not None]
    if not sized:
        return None
    tightest = max(sized, key=_tightness)
    return str(tightest.answer.binding) if tightest.answer else None


def _tightness(role: RolePlan) -> float:
    """Return the share of the wanted replicas that the load needs."""
    need = role.need or 0.0
    return need / role.replicas if role.replicas else math.inf


def _reachable(plan: Plan) -> bool | None:
    answers = [role.answer for role in plan.roles if role.answer is not None]
    return all(answer.reachable for answer in answers) if answers else None
