"""What is wrong with a request, as far as the request itself says.

The CRD holds most rules. Here are those that it cannot hold, and those of its CEL rules that a
request may have escaped: it was stored before the rule, another operator owns the CRD, or it is
checked before it is applied.
"""

from collections.abc import Iterator

from dgdr_api.effective import EffectiveSpec, effective, is_profiler_image
from dgdr_api.graph import Json
from dgdr_api.models import dgdr_rules as rules
from dgdr_api.models.dgdr_v1beta1 import Backend, DGDRSpec, SearchStrategy, Sla, Workload
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.planner_config import FIELD as PLANNER
from dgdr_api.planner_config import BudgetTooSmall, parse_planner_config, role_bounds
from dgdr_api.problem import Problem
from dgdr_api.reading import object_of
from dgdr_api.validate_name import name_problems
from dgdr_api.validate_override import override_problems


def problems(
    spec: DGDRSpec, policy: ProfilingPolicySpec | None = None, name: str = ""
) -> tuple[Problem, ...]:
    """Return what is wrong with a spec; nothing when it can be profiled.

    Args:
        spec: the spec as the user gave it.
        policy: the policy that applies; ``None`` when it is not known, which leaves out the rules
            that depend on it.
        name: the request's name; without it the generated names are not checked.
    """
    return (*refusals(spec, name), *troubles(spec, policy))


def refusals(spec: DGDRSpec, name: str = "") -> tuple[Problem, ...]:
    """Return what a request is refused for: what the CRD says too, so that no update escapes it."""
    wanted = effective(spec)
    return (
        *_targets(spec.sla or Sla()),
        *_load(spec.workload or Workload()),
        *_strategy(wanted),
        *name_problems(wanted, name),
    )


def troubles(spec: DGDRSpec, policy: ProfilingPolicySpec | None = None) -> tuple[Problem, ...]:
    """Return for what a request fails once it is looked at, and upstream accepts at first.

    Args:
        spec: the spec as the user gave it.
        policy: the policy that applies; ``None`` when it is not known.
    """
    wanted = effective(spec)
    return (
        *_image(wanted, policy),
        *_model_cache(spec),
        *override_problems(wanted.dgd_override),
        *_planner(wanted, policy or ProfilingPolicySpec()),
    )


def locked_change(old: Json, new: Json) -> Problem | None:
    """Say why a request's spec may not change; None when it may.

    Args:
        old: the request of v1beta1 as it is stored.
        new: as it is to be stored.
    """
    phase = str(object_of(old.get("status")).get("phase"))
    before, after = object_of(old.get("spec")), object_of(new.get("spec"))
    if phase not in rules.LOCKED_PHASES or before == after:
        return None
    starts = before.get("autoApply") is False and after.get("autoApply") is True
    if phase == "Ready" and starts and {**before, "autoApply": True} == after:
        return None
    return Problem("spec", None, rules.locked(phase), "Forbidden")


def _targets(sla: Sla) -> Iterator[Problem]:
    given = {"ttft": sla.ttft, "itl": sla.itl}
    if (sla.ttft is None) != (sla.itl is None):
        lonely = {key: value for key, value in given.items() if value is not None}
        yield Problem("spec.sla", lonely, rules.TTFT_WITHOUT_ITL)
    if sla.e2e_latency is not None and any(value is not None for value in given.values()):
        yield Problem("spec.sla.e2eLatency", sla.e2e_latency, rules.E2E_WITH_TTFT)


def _load(workload: Workload) -> Iterator[Problem]:
    if workload.request_rate is not None and workload.concurrency is not None:
        yield Problem(
            "spec.workload.requestRate", workload.request_rate, rules.RATE_WITH_CONCURRENCY
        )


def _strategy(wanted: EffectiveSpec) -> Iterator[Problem]:
    if wanted.search_strategy is SearchStrategy.THOROUGH and wanted.backend is Backend.AUTO:
        yield Problem("spec.searchStrategy", "thorough", rules.THOROUGH_WITH_AUTO)


def _image(wanted: EffectiveSpec, policy: ProfilingPolicySpec | None) -> Iterator[Problem]:
    """Check the image, unless nothing of the request runs an engine."""
    candidates_run_it = policy is not None and not policy.uses_mocker
    if wanted.mocker and not candidates_run_it:
        return
    if not wanted.image:
        yield Problem(
            "spec.image",
            None,
            "name the workers' image, such as REGISTRY/vllm-runtime:TAG; only with "
            "features.mocker.enabled and a ProfilingPolicy with candidateEngine mocker none is "
            "needed",
        )
    elif "@" in wanted.image and _is_derived(wanted):
        yield Problem(
            "spec.image",
            wanted.image,
            "a digest names this image alone, so the runtime image cannot be derived from it; name "
            "the runtime image, or give a tag",
        )


def _is_derived(wanted: EffectiveSpec) -> bool:
    """Whether the workers run another image than the one that is named."""
    image = wanted.image or ""
    if wanted.backend is Backend.AUTO:
        return is_profiler_image(image)
    return wanted.worker_image(wanted.backend) != image


def _model_cache(spec: DGDRSpec) -> Iterator[Problem]:
    cache = spec.model_cache
    if cache and not cache.pvc_name and (cache.pvc_model_path or cache.pvc_mount_path):
        yield Problem(
            "spec.modelCache.pvcName",
            None,
            "pvcModelPath and pvcMountPath need the PersistentVolumeClaim that they are in",
        )


def _planner(wanted: EffectiveSpec, policy: ProfilingPolicySpec) -> Iterator[Problem]:
    if wanted.planner is None:
        return
    config = parse_planner_config(wanted.planner)
    yield from config.problems
    try:
        # The smallest engines that may be tried: a larger pair may win, but none is smaller.
        role_bounds(config.keys, dict.fromkeys(config.keys.roles, policy.min_gpus_per_engine or 1))
    except BudgetTooSmall as exc:
        yield Problem(f"{PLANNER}.max_gpu_budget", config.keys.max_gpu_budget, exc.why)
    if wanted.mocker and config.keys.pre_deployment_sweeping_mode == "none":
        yield Problem(
            f"{PLANNER}.pre_deployment_sweeping_mode",
            "none",
            "the mocker and the planner live on measured curves; use rapid or thorough, or "
            "switch features.mocker off",
        )
