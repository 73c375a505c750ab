"""How many replicas a load needs: by the functions with which the planner will scale them.

What the profiler picks, what the deployment starts with and what the planner asks for later are
then one number. A request names its load as a rate, or as requests in flight, which become a rate
by Little's law. Lengths are those of the request, without any spread but dgdr_perf's default.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from dgdr_api.graph import Role
from dgdr_api.planner_config import PlannerKeys, role_bounds
from dgdr_perf import sizing
from dgdr_perf.sizing import Sizing
from dgdr_profiler.core.engine_curves import EngineCurves
from dgdr_profiler.core.targets import Targets, Workload

# Pairs of candidates that a run weighs again and again.
REMEMBERED = 4096

# A target that nobody named: dgdr_perf has no word for none.
NO_LIMIT_MS = 1e9
LEAST_MS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replicas:
    """Replicas of each role; a role that the deployment has not has none.

    ``shortage`` says what the load would need, when GPUs do not do.
    """

    prefill: int = 1
    decode: int = 1
    worker: int = 0
    shortage: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The replicas that a planner keeps a role between."""

    least: int = 1
    most: int | None = None

    def __contains__(self, replicas: int) -> bool:
        return self.least <= replicas and (self.most is None or replicas <= self.most)


Bounds = Mapping[Role, Bound]
UNBOUND = Bound()


def bounds_of(planner: PlannerKeys, gpus_each: Mapping[Role, int]) -> Bounds:
    """Return the bounds of a deployment's roles, as its SLAPlanner will have them.

    Raises:
        BudgetTooSmall: the planner's budget does not hold the fewest replicas.
    """
    bounds = role_bounds(planner, gpus_each).model_dump(exclude_none=True)
    return {role: Bound(least=bounds[role]["min"], most=bounds[role]["max"]) for role in gpus_each}


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What a load needs of each role, of engines that hold so many GPUs each.

    ``ttft_ms`` and ``itl_ms`` are expected with these replicas.
    """

    answers: Mapping[Role, Sizing]
    gpus_each: Mapping[Role, int]
    rate_per_s: float
    ttft_ms: float
    itl_ms: float

    @property
    def gpus(self) -> int:
        """GPUs of all replicas."""
        return self.gpus_of({role: a.replicas for role, a in self.answers.items()})

    def gpus_of(self, replicas: Mapping[Role, int]) -> int:
        """Return the GPUs of so many replicas."""
        return sum(count * self.gpus_each[role] for role, count in replicas.items())

    @property
    def reachable(self) -> bool:
        """Whether the targets hold with these replicas."""
        return all(answer.reachable for answer in self.answers.values())

    def __str__(self) -> str:
        named = {Role.WORKER: "aggregated"}
        counts = (f"{a.replicas} {named.get(role, role)}" for role, a in self.answers.items())
        replicas = sum(a.replicas for a in self.answers.values())
        gpus = f"{self.gpus} {_some(self.gpus, 'GPU')}"
        return f"{' and '.join(counts)} {_some(replicas, 'replica')} with {gpus}"


def rate_per_s(workload: Workload, ttft_ms: float, itl_ms: float) -> float | None:
    """Return the load as a rate, when an answer takes that long; None: the request names none."""
    if workload.request_rate_per_s is not None or workload.concurrency is None:
        return workload.request_rate_per_s
    return 1000 * workload.concurrency / (ttft_ms + itl_ms * (workload.osl - 1))


@lru_cache(maxsize=REMEMBERED)
def pair_need(
    curves: EngineCurves,
    gpus_each: tuple[int, int],
    load: sizing.Workload,
    targets: sizing.Targets,
) -> Need:
    """Return what a load needs of a prefill and a decode engine."""
    engine = curves.profile()
    prefill = sizing.size_prefill(engine, load, targets)
    decode = sizing.size_decode(engine, load, targets)
    return Need(
        answers={Role.PREFILL: prefill, Role.DECODE: decode},
        gpus_each=dict(zip((Role.PREFILL, Role.DECODE), gpus_each, strict=True)),
        rate_per_s=load.rate_per_s,
        ttft_ms=prefill.latency_ms,
        itl_ms=decode.latency_ms,
    )


@lru_cache(maxsize=REMEMBERED)
def aggregated_need(
    curves: EngineCurves, gpus_each: int, load: sizing.Workload, targets: sizing.Targets
) -> Need:
    """Return what a load needs of an engine that prefills and decodes."""
    answer = sizing.size_aggregated(curves.profile(), load, targets)
    ttft, itl = answer.ttft, answer.itl
    return Need(
        answers={Role.WORKER: answer},
        gpus_each={Role.WORKER: gpus_each},
        rate_per_s=load.rate_per_s,
        ttft_ms=ttft.ms if ttft else answer.latency_ms,
        itl_ms=itl.ms if itl else answer.latency_ms,
    )


def _some(count: int, noun: str) -> str:
    return noun if count == 1 else f"{noun}s"


def load_of(workload: Workload, rate_per_s: float) -> sizing.Workload:
    """Return a rate of the workload's requests, as dgdr_perf knows it."""
    return sizing.Workload(rate_per_s=rate_per_s, isl=workload.isl, osl=workload.osl)


def role_targets(targets: Targets, itl_ms: float) -> sizing.Targets:
    """Return a target for each role.

    A target for the whole answer leaves to prefill what decode does not use at ``itl_ms``.
    """
    if targets.e2e_ms is not None:
        left_ms = targets.e2e_ms - itl_ms * (targets.osl - 1)
        return sizing.Targets(ttft_ms=max(LEAST_MS, left_ms), itl_ms=itl_ms)
    return sizing.Targets(
        ttft_ms=targets.ttft_ms or NO_LIMIT_MS, itl_ms=targets.itl_ms or NO_LIMIT_MS
    )


def at_least(roles: Iterable[Role], bounds: Bounds | None) -> Replicas:
    """Return the fewest replicas of each role."""
    return _replicas({role: (bounds or {}).get(role, UNBOUND).least for role in roles}, None)


def within(
    need: Need,
    total_gpus: int | None,
    bounds: Bounds | None = None,
    budget_gpus: int | None = None,
) -> Replicas:
    """Return what a load needs, or what there are GPUs for and its planner allows.

    Never more GPUs than there are, nor than the planner's budget, but the fewest replicas of each
    role: the role with more than its share then gives way, so that all roles stay in step.
    """
    kept = {role: (bounds or {}).get(role, UNBOUND) for role in need.answers}
    wanted = {role: max(kept[role].least, a.replicas) for role, a in need.answers.items()}
    limits = [one for one in (total_gpus, budget_gpus) if one is not None]
    if not limits or need.gpus_of(wanted) <= min(limits):
        return _replicas(wanted, None)
    most = min(limits)
    shortage = f"the load needs {need}, but it may have {most}"
    if most == budget_gpus:
        shortage += "; raise features.planner.max_gpu_budget"
    return _replicas(_shared_out(need, most, kept), shortage)


def _shared_out(need: Need, total_gpus: int, bounds: Bounds) -> Mapping[Role, int]:
    """Add replicas one by one, always to the role that is further behind, while GPUs last."""
    exact = {role: max(1.0, answer.replicas_exact) for role, answer in need.answers.items()}
    now = {role: bounds[role].least for role in exact}
    while able := [role for role in now if now[role] + 1 in bounds[role]]:
        behind = min(able, key=lambda role: now[role] / exact[role])
        more = {**now, behind: now[behind] + 1}
        if need.gpus_of(more) > total_gpus:
            return now
        now = more
    return now


def _replicas(counts: Mapping[Role, int], shortage: str | None) -> Replicas:
    return Replicas(
        prefill=counts.get(Role.PREFILL, 0),
        decode=counts.get(Role.DECODE, 0),
        worker=counts.get(Role.WORKER, 0),
        shortage=shortage,
    )
