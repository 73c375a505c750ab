"""What is wrong with a request, as far as the request itself says.

The CRD holds most rules. Here are those that it cannot hold, and those of its CEL rules that a
request may have escaped: it was stored before the rule, another operator owns the CRD, or it is
checked before it is applied. Whether a claim, secret or policy exists is for the operator to look
up; the words for it are here too.
"""

import re
from collections.abc import Iterator, Mapping

from dgdr_api import codec_v1beta1, graph_v1alpha1
from dgdr_api.effective import EffectiveSpec, effective, is_profiler_image
from dgdr_api.graph import Json
from dgdr_api.models import dgdr_rules as rules
from dgdr_api.models.dgdr_v1beta1 import Backend, DGDRSpec, SearchStrategy, Sla, Workload
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.names import MAX_DGD_AND_COMPONENT_CHARS, MAX_WORKLOAD_NAME_CHARS, dgd_name
from dgdr_api.planner_config import FIELD as PLANNER
from dgdr_api.planner_config import BudgetTooSmall, parse_planner_config, role_bounds
from dgdr_api.problem import Problem, summary
from dgdr_api.reading import CodecError

__all__ = [
    "HARDWARE_NEEDED",
    "Problem",
    "missing_claim",
    "missing_config_map",
    "missing_policy",
    "name_in_override",
    "names_with_grove",
    "policy_not_for",
    "problems",
    "summary",
]

HARDWARE_NEEDED = "GPU hardware configuration is required when GPU discovery is disabled"
_DNS_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
_FRAME = {"kind": "DynamoGraphDeployment", "metadata": {"name": "override"}}
_DGD_VERSIONS = ("nvidia.com/v1beta1", "nvidia.com/v1alpha1")
# Names of the components in every generated deployment.
_COMPONENTS = ("frontend", "prefill", "decode", "worker")
_LONGEST = max(_COMPONENTS, key=len)
_GROVE = "nvidia.com/enable-grove"


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
        *_names(wanted, name),
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
        *_override(spec),
        *_planner(wanted, policy or ProfilingPolicySpec()),
    )


def locked_change(old: Json, new: Json) -> Problem | None:
    """Say why a request's spec may not change; None when it may.

    Args:
        old: the request of v1beta1 as it is stored.
        new: as it is to be stored.
    """
    phase = str(_object(old.get("status")).get("phase"))
    before, after = _object(old.get("spec")), _object(new.get("spec"))
    if phase not in rules.LOCKED_PHASES or before == after:
        return None
    starts = before.get("autoApply") is False and after.get("autoApply") is True
    if phase == "Ready" and starts and {**before, "autoApply": True} == after:
        return None
    return Problem("spec", None, rules.locked(phase), "Forbidden")


def _object(value: object) -> Json:
    return value if isinstance(value, Mapping) else {}


def name_in_override(override: Json | None) -> str | None:
    """Return the name that a DGD override gives; None where it gives none, or nonsense."""
    metadata = (override or {}).get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) and name else None


def missing_claim(claim: str, namespace: str) -> Problem:
    """Say that the model cache's volume claim does not exist."""
    return Problem(
        "spec.modelCache.pvcName",
        claim,
        f"model cache PVC {claim} not found in namespace {namespace}; create it, or name another",
    )


def missing_policy(policy: str, namespace: str) -> Problem:
    """Say that the ProfilingPolicy does not exist."""
    return Problem(
        "metadata.annotations[dgdr.dev/profiling-policy]",
        policy,
        f"ProfilingPolicy {policy} not found in namespace {namespace}; create it, or remove the "
        "annotation",
    )


def policy_not_for(policy: str, where: str, namespace: str) -> Problem:
    """Say that requests of a namespace may not choose a policy."""
    return Problem(
        "metadata.annotations[dgdr.dev/profiling-policy]",
        policy,
        f"ProfilingPolicy {policy} in namespace {where} is not for requests of namespace "
        f"{namespace}; choose another, or have its spec.namespaces list {namespace}",
    )


def missing_config_map(config_map: str, namespace: str, policy: str) -> Problem:
    """Say that the ConfigMap with the mockers' performance data does not exist."""
    return Problem(
        f"ProfilingPolicy {policy} spec.mocker.profilesConfigMap",
        config_map,
        f"ConfigMap {config_map} not found in namespace {namespace}; create it with the mockers' "
        "performance data (keys tp-<n>.npz, tep-<n>.npz, dep-<n>.npz), or name another; it is "
        "looked for again within two minutes",
    )


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


def _override(spec: DGDRSpec) -> Iterator[Problem]:
    """Check the frame of a DGD override; its components are matched when they are merged."""
    override = spec.overrides.dgd if spec.overrides else None
    if override is None:
        return
    version, kind = override.get("apiVersion"), override.get("kind")
    if version not in _DGD_VERSIONS:
        yield Problem(
            "spec.overrides.dgd.apiVersion", version, f"use one of {', '.join(_DGD_VERSIONS)}"
        )
    if kind != "DynamoGraphDeployment":
        yield Problem("spec.overrides.dgd.kind", kind, "use DynamoGraphDeployment")
    if "status" in override:
        yield Problem("spec.overrides.dgd.status", {}, "status cannot be overridden; remove it")
    yield from _metadata(override.get("metadata"))
    nulls = tuple(_nulls(override, "spec.overrides.dgd"))
    for path in nulls:
        yield Problem(path, "null", "null removes nothing here; leave the field out")
    if version in _DGD_VERSIONS and not nulls:
        own = override.get("spec")
        if isinstance(own, Mapping):
            # The profiler takes them from here, where neither version has a place for them.
            own = {key: one for key, one in own.items() if key != "imagePullSecrets"}
        yield from _unreadable({**_FRAME, "apiVersion": version, "spec": own})


def _unreadable(partial: Json) -> Iterator[Problem]:
    """Say what of an override's spec nobody could merge, which else the Job would find out."""
    try:
        if partial["apiVersion"] == codec_v1beta1.API_VERSION:
            codec_v1beta1.decode(partial)
            return
        _, unplaced = graph_v1alpha1.read_graph(partial)
    except CodecError as exc:
        yield Problem(f"spec.overrides.dgd.{exc.field}", exc.value, f"must be {exc.wanted}")
        return
    for field in unplaced:
        yield Problem(
            f"spec.overrides.dgd.{field}",
            None,
            "has no place in a generated deployment; remove it, or write the override as "
            f"{codec_v1beta1.API_VERSION}",
            "Forbidden",
        )


def _metadata(metadata: object) -> Iterator[Problem]:
    path = "spec.overrides.dgd.metadata"
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        yield Problem(path, metadata, "use an object, such as {name: my-deployment}")
    elif not isinstance(metadata.get("name", ""), str | None):
        yield Problem(f"{path}.name", metadata["name"], "use a string; quote numbers")


def _nulls(value: object, path: str) -> Iterator[str]:
    if value is None:
        yield path
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _nulls(child, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _nulls(child, f"{path}[{index}]")


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


def names_with_grove(spec: DGDRSpec, name: str) -> Iterator[Problem]:
    """Check the name of the generated deployment by what NVIDIA's operator makes with Grove."""
    wanted = effective(spec)
    metadata = _object((wanted.dgd_override or {}).get("metadata"))
    if str(_object(metadata.get("annotations")).get(_GROVE)).lower() == "false":
        return
    most = MAX_DGD_AND_COMPONENT_CHARS - len(_LONGEST)
    share = f"{MAX_DGD_AND_COMPONENT_CHARS} characters where NVIDIA's operator uses Grove"
    off = f'{_GROVE}: "false" in spec.overrides.dgd.metadata.annotations'
    yield from _too_long(wanted, name, most, share, f", or do without Grove: {off}")


def _names(wanted: EffectiveSpec, name: str) -> Iterator[Problem]:
    """Check the name of the generated deployment, where an override gives it."""
    if not name:
        return
    most = MAX_WORKLOAD_NAME_CHARS - len(f"-{_LONGEST}")
    yield from _too_long(wanted, name, most, f"{MAX_WORKLOAD_NAME_CHARS} characters")
    override = name_in_override(wanted.dgd_override)
    if override and not _DNS_NAME.match(override):
        yield Problem(
            "spec.overrides.dgd.metadata.name",
            override,
            "use lower-case letters, digits and dashes",
        )
    yield from _first_letters(name, override)


def _too_long(
    wanted: EffectiveSpec, name: str, most: int, share: str, else_: str = ""
) -> Iterator[Problem]:
    """Say that a generated deployment's name leaves a component none."""
    override = name_in_override(wanted.dgd_override)
    field = "spec.overrides.dgd.metadata.name" if override else "metadata.name"
    given, generated = override or name, dgd_name(name, override)
    if len(generated) > most:
        yield Problem(
            field,
            given,
            f"the deployment {generated} and its component {_LONGEST} share {share}; use at most "
            f"{most - (len(generated) - len(given))}{else_}",
        )


def _first_letters(name: str, override: str | None) -> Iterator[Problem]:
    """Check how names begin: those of candidates begin like the request's own."""
    names = {"metadata.name": name, "spec.overrides.dgd.metadata.name": override}
    for field, given in names.items():
        if given and not given[0].isalpha():
            yield Problem(field, given, "begin with a letter: Services of that name must")
