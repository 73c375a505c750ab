"""What a spec asks for in place of the curves' answer: Classic sizing, ``sla.whenUnreachable``."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner_policy import SizingPolicy, WhenUnreachable
from dgdr_cli.planner.case import Case, CaseError
from dgdr_perf.sizing import Sizing
from dgdr_planner.forecast import Forecast
from dgdr_planner.observe.observation import LoadSeen, RoleSeen, TargetSeen
from dgdr_planner.observe.value import Trouble


class By(StrEnum):
    """Who chose the number; the values are those of the spec."""

    TARGETS = "Targets"
    CLASSIC = "Classic"
    MAX_OUT = "MaxOut"
    HOLD = "Hold"


IN_WORDS = {
    By.CLASSIC: "sizing.policy Classic: what NVIDIA's planner 0.9 would ask for, without what it"
    " corrects by latencies that it has seen",
    By.MAX_OUT: "whenUnreachable MaxOut: all that roles and budget allow",
    By.HOLD: "whenUnreachable Hold: what is there stays",
}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Replicas of a role before limits and budget."""

    replicas: int
    by: By = By.TARGETS


def chosen(case: Case, answers: Mapping[Role, Sizing]) -> dict[Role, Chosen]:
    """Return what the planner's own decision would ask for.

    Raises:
        CaseError: Classic has no answer.
    """
    if case.load.rate_per_s <= 0:
        return {role: Chosen(answer.replicas) for role, answer in answers.items()}
    if case.policy.sizing is SizingPolicy.CLASSIC:
        return {role: Chosen(count, By.CLASSIC) for role, count in _classic(case).items()}
    return {role: _targeted(case, role, answer) for role, answer in answers.items()}


def _targeted(case: Case, role: Role, answer: Sizing) -> Chosen:
    if answer.reachable:
        return Chosen(answer.replicas)
    match case.policy.when_unreachable:
        case WhenUnreachable.HOLD:
            return Chosen(case.replicas.get(role, answer.replicas), By.HOLD)
        case WhenUnreachable.MAX_OUT:
            return Chosen(max(case.policy.limits[role].most, answer.replicas), By.MAX_OUT)
        case WhenUnreachable.BEST_EFFORT:
            return Chosen(answer.replicas)


def _classic(case: Case) -> Mapping[Role, int]:
    """Return what the formulas say without their corrections: nobody has seen this load."""
    from dgdr_planner.size.classic import classic_needs

    load = case.load
    forecast = Forecast(rate_per_s=load.rate_per_s, isl=load.isl, osl=load.osl)
    roles = tuple(
        RoleSeen(
            role=role,
            component=role.value,
            replicas=case.replicas.get(role, 0),
            ready=None,
            gpus_per_replica=case.gpus_of(role),
        )
        for role in (Role.PREFILL, Role.DECODE)
    )
    target = TargetSeen(namespace="", name="", model=None, roles=roles)
    unseen = LoadSeen.unknown("NotSeen", "a load that is asked about", case.policy.interval_s)
    found = classic_needs(case.profile, forecast, target, unseen, case.policy)
    if isinstance(found, Trouble):
        raise CaseError(found.message)
    return found
