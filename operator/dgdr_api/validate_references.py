"""The words for what a request refers to and the operator, which looks it up, does not find."""

from dgdr_api.problem import Problem


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
