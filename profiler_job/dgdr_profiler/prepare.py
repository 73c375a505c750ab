"""From the mounted request to a plan; everything that can be refused is refused here."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from dgdr_api.effective import EffectiveSpec, effective
from dgdr_api.graph import Graph
from dgdr_api.problem import summary
from dgdr_api.request import ProfilingRequest
from dgdr_api.validate import problems
from dgdr_profiler.core.actions import Plan
from dgdr_profiler.core.candidate import Candidate, Infeasible
from dgdr_profiler.core.demand import DEFAULT_DECODE_POINTS, DEFAULT_PREFILL_POINTS, Demand
from dgdr_profiler.core.engine import Engine
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.limits import SearchLimits
from dgdr_profiler.core.prior import by_promise
from dgdr_profiler.core.render import Setting, candidate_graph, subject_of
from dgdr_profiler.core.search import search
from dgdr_profiler.core.shape import Shape
from dgdr_profiler.core.targets import targets_of, workload_of
from dgdr_profiler.engines.mocker import BLOCK_TOKENS, Mocker, profile_key
from dgdr_profiler.engines.registry import candidate_engine, final_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can be worked on."""

    plan: Plan
    setting: Setting
    graphs: Mapping[str, Graph]
    engine: Engine


def prepare(request: ProfilingRequest, profiles: Mapping[str, str] | None) -> Prepared:
    """Check a request and lay out its run.

    Args:
        request: the mounted request.
        profiles: digests of the mockers' performance data by key; None when candidates are no
            mockers.

    Raises:
        InvalidRequest: names the field, its value and the cure.
    """
    wanted = effective(request.spec)
    if found := problems(request.spec, request.policy, request.dgdr_name):
        raise InvalidRequest(summary(found))
    engine = candidate_engine(request, wanted)
    # Refused now, not after hours of measuring.
    final_engine(request, wanted, BLOCK_TOKENS)
    setting = Setting(
        dgdr=request.dgdr_name,
        namespace=request.namespace,
        uid=request.uid,
        wanted=wanted,
        gpu_product=request.hardware.gpu_product,
        pull_secrets=request.images.pull_secrets,
    )
    candidates, infeasible = _space(request, wanted, engine, profiles)
    graphs = {c.id: candidate_graph(engine, setting, c.shape) for c in candidates}
    candidates, infeasible = _feasible(
        candidates, (*infeasible, *_over_budget(candidates, graphs, _gpus_at_once(request, wanted)))
    )
    hardware = request.hardware
    gpu = hardware.gpu_product or hardware.gpu_sku or wanted.gpu_sku
    data = {c.id: (profiles or {}).get(profile_key(c.mapping), "") for c in candidates}
    policy = request.policy
    plan = Plan(
        demand=Demand(
            workload=workload_of(wanted),
            targets=targets_of(wanted),
            prefill_points=policy.prefill_points or DEFAULT_PREFILL_POINTS,
            decode_points=policy.decode_points or DEFAULT_DECODE_POINTS,
        ),
        candidates=by_promise(candidates),
        subjects={
            name: subject_of(graphs[name], engine, gpu, digest) for name, digest in data.items()
        },
        infeasible=infeasible,
        gpus_at_once=_gpus_at_once(request, wanted),
        total_gpus=_total_gpus(request, wanted),
        deadline_s=policy.deadline_s,
    )
    return Prepared(plan=plan, setting=setting, graphs=graphs, engine=engine)


def _space(
    request: ProfilingRequest,
    wanted: EffectiveSpec,
    engine: Engine,
    profiles: Mapping[str, str] | None,
) -> tuple[tuple[Candidate, ...], tuple[Infeasible, ...]]:
    """Return the pairs of engines on one node each, and what is not tried."""
    policy = request.policy
    limits = SearchLimits(
        min_engine_gpus=policy.min_gpus_per_engine or 1,
        max_engine_gpus=policy.max_gpus_per_engine,
        gpus_per_node=request.hardware.gpus_per_node or wanted.gpus_per_node,
        gpus_at_once=_gpus_at_once(request, wanted),
    )
    space = search(limits)
    refused = {_candidate(entry.shape): entry.reason for entry in space.infeasible}
    for shape in space.shapes:
        if reason := _not_a_pair(shape, limits):
            refused[_candidate(shape)] = reason
    candidates = tuple(c for s in space.shapes if (c := _candidate(s)) not in refused)
    infeasible = tuple(
        Infeasible(candidate=c, reason=refused[c]) for c in sorted(refused, key=lambda c: c.gpus)
    )
    if profiles is not None and isinstance(engine, Mocker):
        infeasible += _without_data(candidates, engine.data, profiles)
    return _feasible(candidates, infeasible)


def _feasible(
    candidates: tuple[Candidate, ...], infeasible: tuple[Infeasible, ...]
) -> tuple[tuple[Candidate, ...], tuple[Infeasible, ...]]:
    out = {entry.candidate for entry in infeasible}
    candidates = tuple(c for c in candidates if c not in out)
    if not candidates:
        reasons = "; ".join(f"{entry.candidate.label}: {entry.reason}" for entry in infeasible)
        raise InvalidRequest(f"no candidate is feasible: {reasons}")
    return candidates, infeasible


def _candidate(shape: Shape) -> Candidate:
    return Candidate(tensor_parallel=shape.largest.gpus)


def _not_a_pair(shape: Shape, limits: SearchLimits) -> str | None:
    gpus = shape.largest.gpus
    if shape.largest.nodes > 1:
        return f"an engine of {gpus} GPUs does not fit on a node of {limits.node_gpus}"
    if len(shape.mappings) == 1:
        return (
            f"a prefill and a decode engine need {2 * gpus} GPUs, but only {limits.budget} may be "
            "held at once"
        )
    return None


def _over_budget(
    candidates: tuple[Candidate, ...], graphs: Mapping[str, Graph], most: int | None
) -> tuple[Infeasible, ...]:
    """Return the candidates that an override made too large for the GPUs that may be held."""
    return tuple(
        Infeasible(
            candidate=candidate,
            reason=f"with overrides.dgd it asks for {graphs[candidate.id].gpus} GPUs, {most} may "
            "be held at once",
        )
        for candidate in candidates
        if most is not None and graphs[candidate.id].gpus > most
    )


def _without_data(
    candidates: tuple[Candidate, ...], config_map: str, keys: Container[str]
) -> tuple[Infeasible, ...]:
    return tuple(
        Infeasible(candidate=c, reason=f"ConfigMap {config_map} has no {profile_key(c.mapping)}")
        for c in candidates
        if profile_key(c.mapping) not in keys
    )


def _total_gpus(request: ProfilingRequest, wanted: EffectiveSpec) -> int | None:
    return request.hardware.total_gpus or wanted.total_gpus


def _gpus_at_once(request: ProfilingRequest, wanted: EffectiveSpec) -> int | None:
    limits = (request.policy.gpus_at_once, _total_gpus(request, wanted))
    return min((limit for limit in limits if limit is not None), default=None)
