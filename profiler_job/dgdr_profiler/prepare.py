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
from dgdr_profiler.core.prior import by_promise
from dgdr_profiler.core.render import Setting, candidate_graph, subject_of
from dgdr_profiler.core.search import SearchLimits, SearchSpace, search
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
    space = _space(request, wanted, engine, profiles)
    graphs = {c.id: candidate_graph(engine, setting, c) for c in space.candidates}
    hardware = request.hardware
    gpu = hardware.gpu_product or hardware.gpu_sku or wanted.gpu_sku
    data = {c.id: (profiles or {}).get(profile_key(c), "") for c in space.candidates}
    policy = request.policy
    plan = Plan(
        demand=Demand(
            workload=workload_of(wanted),
            targets=targets_of(wanted),
            prefill_points=policy.prefill_points or DEFAULT_PREFILL_POINTS,
            decode_points=policy.decode_points or DEFAULT_DECODE_POINTS,
        ),
        candidates=by_promise(space.candidates),
        subjects={
            name: subject_of(graph, engine, gpu, data[name]) for name, graph in graphs.items()
        },
        infeasible=space.infeasible,
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
) -> SearchSpace:
    policy = request.policy
    space = search(
        SearchLimits(
            min_engine_gpus=policy.min_gpus_per_engine or 1,
            max_engine_gpus=policy.max_gpus_per_engine,
            gpus_per_node=request.hardware.gpus_per_node or wanted.gpus_per_node,
            gpus_at_once=_gpus_at_once(request, wanted),
        )
    )
    if profiles is not None and isinstance(engine, Mocker):
        space = space.without(_without_data(space.candidates, engine.data, profiles))
    if not space.candidates:
        reasons = "; ".join(
            f"{entry.candidate.label}: {entry.reason}" for entry in space.infeasible
        )
        raise InvalidRequest(f"no candidate is feasible: {reasons}")
    return space


def _without_data(
    candidates: tuple[Candidate, ...], config_map: str, keys: Container[str]
) -> tuple[Infeasible, ...]:
    return tuple(
        Infeasible(candidate=c, reason=f"ConfigMap {config_map} has no {profile_key(c)}")
        for c in candidates
        if profile_key(c) not in keys
    )


def _total_gpus(request: ProfilingRequest, wanted: EffectiveSpec) -> int | None:
    return request.hardware.total_gpus or wanted.total_gpus


def _gpus_at_once(request: ProfilingRequest, wanted: EffectiveSpec) -> int | None:
    limits = (request.policy.gpus_at_once, _total_gpus(request, wanted))
    return min((limit for limit in limits if limit is not None), default=None)
