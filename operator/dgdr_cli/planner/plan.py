"""Replicas for a steady load: what the controller settles on, and what that costs.

The curves, the limits, the budget and the correction by observed latencies are those of the
controller. What it adds in time (forecast, patience going down) has no place in the answer to "how
many for this load".
"""

import math
from dataclasses import dataclass, replace

from dgdr_api.graph import Role
from dgdr_api.points import Source
from dgdr_cli.planner.case import Case
from dgdr_cli.planner.chosen import By, Chosen, chosen
from dgdr_perf.sizing import Binding, Sizing, Targets
from dgdr_perf.sizing_result import rounded_up
from dgdr_planner.limit import budget
from dgdr_planner.observe.budget import BudgetSeen
from dgdr_planner.size.curves import size
from dgdr_planner.tell.explain import lengths, shortfall

HOURS_PER_DAY = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """TTFT or ITL, at the percentile of the targets; None is no end: the queue only grows."""

    name: str
    target_ms: float
    expected_ms: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCount:
    """One role. ``replicas`` is what limits and budget leave of ``needed``.

    ``needed`` is what ``chosen_by`` asks for, ``for_targets`` what the curves do, ``exact`` before
    rounding. ``latencies`` are expected with ``for_targets`` replicas, ``alone_ms`` is that of a
    request without any other, on paper; ``correction`` is what late requests multiply the need by.
    ``limit`` names what keeps the role from what is needed, ``out_of_reach`` says why even
    ``for_targets`` miss a target. ``source`` None: nobody knows whether the curve was measured.
    """

    role: Role
    replicas: int
    needed: int
    chosen_by: By
    for_targets: int
    exact: float
    limit: str | None
    gpus_each: int
    latencies: tuple[Latency, ...]
    alone_ms: float | None
    binding: Binding
    out_of_reach: str | None
    in_range: bool
    source: Source | None
    correction: float = 1.0

    @property
    def reachable(self) -> bool:
        """Whether ``for_targets`` replicas meet the targets."""
        return self.out_of_reach is None

    @property
    def is_short(self) -> bool:
        """Whether policy, limits or budget leave fewer than the targets need."""
        return self.replicas < self.for_targets

    @property
    def gpus(self) -> int:
        """GPUs of all its replicas."""
        return self.replicas * self.gpus_each


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The answer. ``infeasible`` says why the budget cannot hold even the fewest replicas.

    ``share_gpus`` are the GPUs of a shared budget that are its own under this load.
    """

    roles: tuple[RoleCount, ...]
    infeasible: str | None = None
    share_gpus: int | None = None

    @property
    def gpus(self) -> int:
        """GPUs of all roles; as many GPU-hours pass in an hour."""
        return sum(role.gpus for role in self.roles)

    @property
    def gpu_hours_per_day(self) -> int:
        """GPU-hours of a day of this load."""
        return self.gpus * HOURS_PER_DAY

    @property
    def reachable(self) -> bool:
        """Whether enough replicas meet the targets."""
        return all(role.reachable for role in self.roles)

    @property
    def meets(self) -> bool:
        """Whether these replicas meet the targets: nothing leaves too few."""
        short = any(role.is_short for role in self.roles)
        return self.reachable and self.infeasible is None and not short

    @property
    def in_range(self) -> bool:
        """Whether every number was read within the profile."""
        return all(role.in_range for role in self.roles)


def plan(case: Case) -> Planned:
    """Answer a case.

    Raises:
        CaseError: Classic has no answer.
    """
    answers = {
        role: _corrected(
            size(role, case.profile, case.load, case.policy.targets, case.policy),
            case.correction_of(role),
        )
        for role in case.policy.roles
    }
    wanted = chosen(case, answers)
    asked = {role: case.policy.limits[role].clamp(wanted[role].replicas) for role in answers}
    gpus = _budgeted(case, answers, asked)
    return Planned(
        roles=tuple(
            _role(case, role, answer, wanted[role], asked[role], gpus.replicas[role])
            for role, answer in answers.items()
        ),
        infeasible=gpus.infeasible,
        share_gpus=gpus.share if case.shared else None,
    )


def _corrected(answer: Sizing, factor: float) -> Sizing:
    exact = factor * answer.replicas_exact
    return replace(answer, replicas=rounded_up(exact), replicas_exact=exact)


def _budgeted(case: Case, answers: dict[Role, Sizing], asked: dict[Role, int]) -> budget.GpuPlan:
    demands = tuple(
        budget.RoleDemand(
            role=role,
            gpus_each=case.gpus_of(role),
            replicas=0,
            held=0,
            fewest=case.policy.limits[role].fewest,
            asked=asked[role],
            need=max(answer.replicas_exact, float(asked[role])),
            rate_per_s=case.load.rate_per_s,
        )
        for role, answer in answers.items()
    )
    if case.shared is not None:
        return _shared(case, demands, case.shared)
    if case.policy.budget_gpus is None:
        return budget.unlimited(demands)
    return budget.plan_own(demands, case.policy.budget_gpus)


def _shared(case: Case, demands: tuple[budget.RoleDemand, ...], seen: BudgetSeen) -> budget.GpuPlan:
    """Plan for the share that it settles on, once what others have too much is free."""
    there = tuple(
        replace(one, replicas=held, held=held)
        for one in demands
        for held in (case.replicas.get(one.role, 0),)
    )
    told = budget.plan_shared(there, seen)
    if told.infeasible is not None or told.share is None:
        return told
    return budget.plan_own(demands, told.share)


def _role(
    case: Case, role: Role, answer: Sizing, wanted: Chosen, asked: int, replicas: int
) -> RoleCount:
    return RoleCount(
        role=role,
        replicas=replicas,
        needed=wanted.replicas,
        chosen_by=wanted.by,
        for_targets=answer.replicas,
        exact=answer.replicas_exact,
        limit=_limit(wanted.replicas, asked, replicas),
        gpus_each=case.gpus_of(role),
        latencies=_latencies(answer, case.policy.targets),
        correction=case.correction_of(role),
        alone_ms=_finite(answer.alone_ms),
        binding=answer.binding,
        out_of_reach=shortfall(
            answer,
            lengths(role, case.load.isl, case.load.osl),
            case.policy.targets,
        ),
        in_range=answer.in_range,
        source=answer.source,
    )


def _latencies(answer: Sizing, targets: Targets) -> tuple[Latency, ...]:
    """Return the latencies that the role answers for; an aggregated worker has both."""
    told = (("TTFT", targets.ttft_ms, answer.ttft), ("ITL", targets.itl_ms, answer.itl))
    return tuple(
        Latency(name=name, target_ms=target_ms, expected_ms=_finite(expected.ms))
        for name, target_ms, expected in told
        if expected is not None
    )


def _limit(needed: int, asked: int, replicas: int) -> str | None:
    if replicas < asked:
        return "budget"
    if asked != needed:
        return "max" if asked < needed else "min"
    return None


def _finite(latency_ms: float) -> float | None:
    return latency_ms if math.isfinite(latency_ms) else None
