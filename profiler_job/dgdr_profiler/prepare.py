"""From the mounted request to a plan; everything that can be refused is refused here."""

from collections.abc import Mapping
from dataclasses import dataclass

from dgdr_api.effective import EffectiveSpec, effective
from dgdr_api.graph import Graph
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.planner_config import PlannerKeys, parse_planner_config
from dgdr_api.problem import summary
from dgdr_api.request import ProfilingRequest
from dgdr_api.validate import problems
from dgdr_profiler.candidates import Candidates, Wanted, candidates_of
from dgdr_profiler.core.actions import Plan
from dgdr_profiler.core.demand import DEFAULT_DECODE_POINTS, DEFAULT_PREFILL_POINTS, Demand
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.expected import Expected
from dgdr_profiler.core.images import fields_of_images
from dgdr_profiler.core.known_model import KnownModel, known_model
from dgdr_profiler.core.prior import by_promise
from dgdr_profiler.core.render import Setting
from dgdr_profiler.core.targets import targets_of, workload_of
from dgdr_profiler.engines.mocker import BLOCK_TOKENS, transfer_gb_per_s
from dgdr_profiler.engines.registry import candidate_engines, final_engine


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A request that can be worked on.

    ``model`` is the name that the candidates serve; ``expected`` says by the name of each graph
    what its engine should be like, ``image_fields`` by image where a user says which it is.
    """

    plan: Plan
    setting: Setting
    graphs: Mapping[str, Graph]
    expected: Mapping[str, Expected]
    image_fields: Mapping[str, str]
    model: str


def prepare(
    request: ProfilingRequest,
    profiles: Mapping[str, str] | None,
    read: KnownModel | None = None,
) -> Prepared:
    """Check a request and lay out its run.

    Args:
        request: the mounted request.
        profiles: digests of the mockers' performance data by key; None when candidates are no
            mockers.
        read: what the model's files say of it; None where nobody looked. Mockers load no model:
            only what a user says of one counts.

    Raises:
        InvalidRequest: names the field, its value and the cure.
    """
    spec = effective(request.spec)
    known = KnownModel() if read is None or request.policy.uses_mocker else read
    if found := problems(request.spec, request.policy, request.dgdr_name):
        raise InvalidRequest(summary(found))
    # Refused now, not after hours of measuring.
    final_engine(request, spec, BLOCK_TOKENS)
    wanted = Wanted(
        request=request,
        spec=spec,
        setting=_setting(request, spec),
        profiles=profiles,
        model=known_model(request.policy.model, known),
        gpus_at_once=_gpus_at_once(request, spec),
        total_gpus=_total_gpus(request, spec),
    )
    tried = candidates_of(wanted)
    # The same for all of them.
    served = next(iter(candidate_engines(request, spec).values())).served_model
    return Prepared(
        plan=_plan(wanted, tried),
        setting=wanted.setting,
        graphs=tried.graphs,
        expected=tried.expected,
        image_fields=fields_of_images(request, spec),
        model=served,
    )


def _plan(wanted: Wanted, tried: Candidates) -> Plan:
    policy = wanted.request.policy
    return Plan(
        demand=Demand(
            workload=workload_of(wanted.spec),
            targets=targets_of(wanted.spec),
            prefill_points=policy.prefill_points or DEFAULT_PREFILL_POINTS,
            decode_points=policy.decode_points or DEFAULT_DECODE_POINTS,
        ),
        candidates=by_promise(tried.candidates),
        subjects=tried.subjects,
        infeasible=tried.infeasible,
        model=wanted.model,
        space=tried.space,
        notes=tried.notes,
        gpus_at_once=wanted.gpus_at_once,
        total_gpus=wanted.total_gpus,
        deadline_s=policy.deadline_s,
        planner=_planner_keys(wanted.spec),
        transfer_gb_per_s=_transfer_gb_per_s(policy, tried),
    )


def _transfer_gb_per_s(policy: ProfilingPolicySpec, tried: Candidates) -> float | None:
    """Return what the link between engines carries; None where nobody says."""
    if policy.kv_transfer_gb_per_s is not None or not policy.uses_mocker:
        return policy.kv_transfer_gb_per_s
    return transfer_gb_per_s(tried.graphs.values())


def _setting(request: ProfilingRequest, spec: EffectiveSpec) -> Setting:
    return Setting(
        dgdr=request.dgdr_name,
        namespace=request.namespace,
        uid=request.uid,
        wanted=spec,
        gpu_product=request.hardware.gpu_product,
        pull_secrets=request.images.pull_secrets,
    )


def _there(request: ProfilingRequest, spec: EffectiveSpec) -> int | None:
    return request.hardware.total_gpus or spec.total_gpus


def _gpus_at_once(request: ProfilingRequest, spec: EffectiveSpec) -> int | None:
    return _least(request.policy.gpus_at_once, _there(request, spec))


def _total_gpus(request: ProfilingRequest, spec: EffectiveSpec) -> int | None:
    """Return the GPUs that the deployment may have: more would be refused, or scaled away."""
    keys = _planner_keys(spec)
    return _least(_there(request, spec), None if keys is None else keys.max_gpu_budget)


def _planner_keys(spec: EffectiveSpec) -> PlannerKeys | None:
    return None if spec.planner is None else parse_planner_config(spec.planner).keys


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)
