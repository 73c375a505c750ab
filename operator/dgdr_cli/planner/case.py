"""One question to the curves: targets, limits, load and GPUs; and how it may be changed.

Pure: nothing here reads a file or a cluster.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dgdr_api.graph import Role
from dgdr_api.models.sla_planner import SLAPlanner
from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_perf.assumed_lengths import with_assumed_lengths
from dgdr_perf.engine_profile import EngineProfile
from dgdr_perf.queueing import Dispatch
from dgdr_perf.sizing import MOST_REPLICAS, Percentile, Targets, Workload
from dgdr_planner.observe.budget import BudgetSeen
from dgdr_planner.policy import Limits, Policy

NO_LIMITS = Limits(fewest=1, most=MOST_REPLICAS)


class CaseError(ValueError):
    """A question that lacks something; the message names it and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is asked of the curves. ``replicas`` are those that are there; empty without a cluster.

    ``load_from`` says where the load comes from, for the reader; ``shared`` is the budget that it
    takes from, with what all others hold and want.
    """

    profile: EngineProfile
    policy: Policy
    load: Workload
    load_from: str
    gpus_each: Mapping[Role, int] = field(default_factory=dict)
    replicas: Mapping[Role, int] = field(default_factory=dict)
    shared: BudgetSeen | None = None
    corrections: Mapping[Role, float] = field(default_factory=dict)

    def gpus_of(self, role: Role) -> int:
        """GPUs of one replica; 1 where nobody said."""
        return self.gpus_each.get(role, 1)

    def correction_of(self, role: Role) -> float:
        """What the planner multiplies the need of the curves by, after late requests; else 1."""
        return self.corrections.get(role, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overrides:
    """What a user gives on the command line; None leaves it as it is."""

    ttft_ms: float | None = None
    itl_ms: float | None = None
    percentile: Percentile | None = None
    queue: Dispatch | None = None
    budget_gpus: int | None = None
    rate_per_s: float | None = None
    isl: float | None = None
    osl: float | None = None
    gpus_each: Mapping[Role, int] = field(default_factory=dict)

    @property
    def loads(self) -> bool:
        """Whether any part of the load is given."""
        return any(part is not None for part in (self.rate_per_s, self.isl, self.osl))


def case_of(
    planner: SLAPlanner,
    profile: EngineProfile,
    given: Overrides,
    shared: BudgetSeen | None = None,
) -> Case:
    """Return what a planner is asked now, with what the user gives instead.

    Raises:
        CaseError: nobody knows the load.
    """
    load, told_from = _load(planner.status, given)
    case = Case(
        profile=profile,
        policy=Policy.of(planner.spec),
        load=load,
        load_from=told_from,
        gpus_each=gpus_seen(planner.status),
        replicas={
            Role(told.role): told.replicas
            for told in planner.status.roles
            if told.replicas is not None
        },
        shared=shared,
        corrections={
            Role(told.role): told.correction
            for told in planner.status.capacity
            if told.correction is not None
        },
    )
    return changed(case, given)


def gpus_seen(status: SLAPlannerStatus) -> dict[Role, int]:
    """Return the GPUs of one replica, of the roles of which the planner knows them."""
    return {
        Role(told.role): told.gpus_per_replica
        for told in status.roles
        if told.gpus_per_replica is not None
    }


def case_without_planner(profile: EngineProfile, roles: tuple[Role, ...], given: Overrides) -> Case:
    """Return the question of a user who has no manifest yet.

    Raises:
        CaseError: a target or a part of the load is missing.
    """
    load, told_from = _load(SLAPlannerStatus(), given)
    policy = Policy(
        targets=Targets(
            ttft_ms=_target("--ttft-ms", given.ttft_ms), itl_ms=_target("--itl-ms", given.itl_ms)
        ),
        limits=dict.fromkeys(roles, NO_LIMITS),
        interval_s=60.0,
        stabilization_s=0.0,
    )
    case = Case(profile=profile, policy=policy, load=load, load_from=told_from)
    return changed(case, given)


def changed(case: Case, given: Overrides) -> Case:
    """Return the case with everything that is given instead.

    Raises:
        CaseError: a target is no positive number.
    """
    targets, policy, load = case.policy.targets, case.policy, case.load
    targets = Targets(
        ttft_ms=_target("--ttft-ms", _first(given.ttft_ms, targets.ttft_ms)),
        itl_ms=_target("--itl-ms", _first(given.itl_ms, targets.itl_ms)),
        percentile=given.percentile or targets.percentile,
    )
    own = given.budget_gpus is not None
    policy = replace(
        policy,
        targets=targets,
        dispatch=given.queue or policy.dispatch,
        budget_gpus=given.budget_gpus if own else policy.budget_gpus,
        budget_ref=None if own else policy.budget_ref,
    )
    load = replace(
        load,
        rate_per_s=load.rate_per_s if given.rate_per_s is None else given.rate_per_s,
        isl=load.isl if given.isl is None else given.isl,
        osl=load.osl if given.osl is None else given.osl,
    )
    gpus_each = {**case.gpus_each, **given.gpus_each}
    shared = None if own else case.shared
    return replace(case, policy=policy, load=load, gpus_each=gpus_each, shared=shared)


def _target(option: str, value: float | None) -> float:
    if value is None:
        raise CaseError("no latency targets: give --ttft-ms and --itl-ms, or --spec")
    if not 0 < value < math.inf:
        raise CaseError(f"{option} is {value}: give milliseconds above 0")
    return value


def _load(status: SLAPlannerStatus, given: Overrides) -> tuple[Workload, str]:
    """Return the load that is planned for, and where each part of it comes from."""
    told, seen = status.forecast, status.observed
    rates = (
        told.planned_requests_per_second if told else None,
        told.requests_per_second if told else None,
        seen.requests_per_second if seen else None,
    )
    parts = {
        "--rate": _first(given.rate_per_s, *rates),
        "--isl": _first(given.isl, told.isl if told else None, seen.isl if seen else None),
        "--osl": _first(given.osl, told.osl if told else None, seen.osl if seen else None),
    }
    missing = [option for option, value in parts.items() if value is None]
    if missing:
        raise CaseError(f"the load is not known: give {', '.join(missing)}")
    rate, isl, osl = (value for value in parts.values() if value is not None)
    told_from = "given" if given.loads else "forecast" if told else "observed"
    prompts = seen.isl_quantiles if seen else None
    answers = seen.osl_quantiles if seen else None
    load = Workload(
        rate_per_s=rate,
        isl=isl,
        osl=osl,
        isl_quantiles=tuple((one.share, one.isl) for one in prompts) if prompts else None,
        osl_quantiles=tuple((one.share, one.osl) for one in answers) if answers else None,
        cached_share=(told.cached_share if told else None) or 0.0,
    )
    return with_assumed_lengths(load), told_from


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
