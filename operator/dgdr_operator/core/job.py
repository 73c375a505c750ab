"""The profiling Job and what it is told. All pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dgdr_api import names
from dgdr_api.effective import effective
from dgdr_api.models.dgdr_v1beta1 import DGDRSpec
from dgdr_api.models.job_freedom import BACKOFF_LIMIT, JobFreedom
from dgdr_api.models.profiling_policy import ProfilingPolicySpec
from dgdr_api.names import Label
from dgdr_api.reading import CodecError
from dgdr_api.request import ProfilingRequest
from dgdr_operator.core.job_limits import breaches
from dgdr_operator.core.job_overrides import overridden
from dgdr_operator.core.pod_security import RESTRICTED_CONTAINER, RESTRICTED_POD

Manifest = dict[str, Any]

REQUEST_MOUNT = "/etc/dgdr"
REQUEST_KEY = "request.json"
OUTPUT_MOUNT = "/data"
REQUEST_VOLUME = "request"
ACCOUNT_VOLUME = "account"
ACCOUNT_MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
TOKEN_S = 3600
CONTAINER = "profiler"
# The Job leaves with this code when trying again cannot help.
HOPELESS_EXIT_CODE = 2
TTL = "ttlSecondsAfterFinished"
KEEP_FINISHED_S = 24 * 3600
# After the last candidate may be started: measure it, draw the curves, write the result.
FINISH_S = 1800
USER_ID = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobImage:
    """The image that profiles, how it is pulled, and as whom it runs.

    ``user_id`` is None where the namespace picks one, as OpenShift does.
    """

    name: str
    pull_policy: str = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()
    user_id: int | None = USER_ID


def run_labels(dgdr: str, namespace: str) -> dict[str, str]:
    """Labels of everything that belongs to one request."""
    return {
        Label.DGDR_NAME.value: dgdr,
        Label.DGDR_NAMESPACE.value: namespace,
        Label.MANAGED_BY.value: names.MANAGED_BY_VALUE,
    }


def render_request(request: ProfilingRequest) -> Manifest:
    """Render the ConfigMap that holds what the Job is to do."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": names.job_name(request.dgdr_name),
            "namespace": request.namespace,
            "labels": run_labels(request.dgdr_name, request.namespace),
            "ownerReferences": [owner(request)],
        },
        "data": {REQUEST_KEY: request.to_text()},
    }


def owner(request: ProfilingRequest) -> Manifest:
    """Return the owner reference of what the operator makes for a run."""
    return {**request.owner_reference.to_json(), "controller": True}


def render_job(request: ProfilingRequest, image: JobImage) -> Manifest:
    """Render the Job, the user's allowed changes merged in."""
    labels = {
        Label.JOB_APP.value: names.JOB_APP_VALUE,
        Label.JOB_DGDR.value: request.dgdr_name,
        **run_labels(request.dgdr_name, request.namespace),
    }
    job: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": names.job_name(request.dgdr_name),
            "namespace": request.namespace,
            "labels": labels,
            "ownerReferences": [owner(request)],
        },
        "spec": _job_spec(request, image, labels),
    }
    override = effective(request.spec).profiling_job_override
    job["spec"] = overridden(job["spec"], override or {}).spec
    _harden_beside(job["spec"]["template"]["spec"])
    # A Job that goes before its end is on record would be taken for one that somebody deleted.
    job["spec"].pop(TTL, None)
    return job


def _harden_beside(pod: Manifest) -> None:
    """Give init containers no more than the profiler has, unless they say otherwise."""
    for container in pod.get("initContainers") or ():
        asked = container.get("securityContext") or {}
        container["securityContext"] = {**RESTRICTED_CONTAINER, **asked}


def keep_finished_s(spec: DGDRSpec) -> int:
    """Seconds for which a Job is kept once its end is on record."""
    override = effective(spec).profiling_job_override or {}
    wanted = override.get(TTL)
    if isinstance(wanted, int) and not isinstance(wanted, bool) and wanted >= 0:
        return wanted
    return KEEP_FINISHED_S


def _job_spec(request: ProfilingRequest, image: JobImage, labels: Mapping[str, str]) -> Manifest:
    spec: Manifest = {
        "backoffLimit": BACKOFF_LIMIT,
        # Never two profilers at once: a new pod starts when the old one is gone.
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": _failure_policy(),
        "template": {"metadata": {"labels": dict(labels)}, "spec": _pod(request, image)},
    }
    deadline_s = job_deadline_s(request.policy)
    if deadline_s is not None:
        spec["activeDeadlineSeconds"] = deadline_s
    return spec


def job_deadline_s(policy: ProfilingPolicySpec) -> int | None:
    """Seconds after which the Job is stopped, should it not stop by itself.

    The policy's deadline is that of the last candidate's start, so its own time comes on top.
    """
    if policy.deadline_s is None:
        return None
    return math.ceil(policy.deadline_s + policy.candidate_timeout_s) + FINISH_S


def _failure_policy() -> Manifest:
    return {
        "rules": [
            # An eviction is not a failure: the next pod goes on with the points that are there.
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
            {
                "action": "FailJob",
                "onExitCodes": {
                    "containerName": CONTAINER,
                    "operator": "In",
                    "values": [HOPELESS_EXIT_CODE],
                },
            },
        ]
    }


def _pod(request: ProfilingRequest, image: JobImage) -> Manifest:
    pod: Manifest = {
        "restartPolicy": "Never",
        "serviceAccountName": names.profiling_account(request.dgdr_name),
        # The profiler's container alone gets a token: what runs beside it has no rights.
        "automountServiceAccountToken": False,
        "securityContext": {**RESTRICTED_POD, **_user(image)},
        "containers": [_container(request, image)],
        "volumes": [
            {"name": REQUEST_VOLUME, "configMap": {"name": names.job_name(request.dgdr_name)}},
            _account_volume(),
            {"name": "profiling-output", "emptyDir": {}},
            {"name": "tmp", "emptyDir": {}},
            *_cache_volumes(request.spec),
        ],
    }
    if image.pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in image.pull_secrets]
    return pod


def _user(image: JobImage) -> Manifest:
    user = image.user_id
    return {} if user is None else {"runAsUser": user, "runAsGroup": user, "fsGroup": user}


def _account_volume() -> Manifest:
    """Return what Kubernetes mounts by itself into every container of a pod with an account."""
    sources: list[Manifest] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_S}},
        {
            "configMap": {
                "name": "kube-root-ca.crt",
                "items": [{"key": "ca.crt", "path": "ca.crt"}],
            }
        },
        {
            "downwardAPI": {
                "items": [{"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}}]
            }
        },
    ]
    return {"name": ACCOUNT_VOLUME, "projected": {"sources": sources}}


def _container(request: ProfilingRequest, image: JobImage) -> Manifest:
    return {
        "name": CONTAINER,
        "image": image.name,
        "imagePullPolicy": image.pull_policy,
        "command": [
            "python",
            "-m",
            "dgdr_profiler",
            "--request",
            f"{REQUEST_MOUNT}/{REQUEST_KEY}",
        ],
        "env": _environment(request),
        # A load generator without a CPU request measures its neighbours.
        "resources": {
            "requests": {"cpu": "500m", "memory": "512Mi"},
            "limits": {"memory": "8Gi"},
        },
        "securityContext": {**RESTRICTED_CONTAINER, "readOnlyRootFilesystem": True},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": REQUEST_VOLUME, "mountPath": REQUEST_MOUNT, "readOnly": True},
            {"name": ACCOUNT_VOLUME, "mountPath": ACCOUNT_MOUNT, "readOnly": True},
            {"name": "profiling-output", "mountPath": OUTPUT_MOUNT},
            {"name": "tmp", "mountPath": "/tmp"},
            *_cache_mounts(request.spec),
        ],
    }


def _environment(request: ProfilingRequest) -> list[Manifest]:
    token = {"name": names.HF_TOKEN_SECRET, "key": names.HF_TOKEN_KEY, "optional": True}
    return [
        {"name": "DGDR_NAME", "value": request.dgdr_name},
        {"name": "DGDR_NAMESPACE", "value": request.namespace},
        {"name": "DGDR_UID", "value": request.uid},
        {"name": "HUGGING_FACE_HUB_TOKEN", "valueFrom": {"secretKeyRef": token}},
        # The root file system is read-only, and libraries cache below their home.
        {"name": "HOME", "value": "/tmp"},
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    ]


def _cache_volumes(spec: DGDRSpec) -> list[Manifest]:
    cache = effective(spec).model_cache
    if cache is None:
        return []
    claim = {"claimName": cache.pvc_name, "readOnly": True}
    return [{"name": "model-cache", "persistentVolumeClaim": claim}]


def _cache_mounts(spec: DGDRSpec) -> list[Manifest]:
    cache = effective(spec).model_cache
    if cache is None:
        return []
    return [{"name": "model-cache", "mountPath": cache.mount_path, "readOnly": True}]


@dataclass(frozen=True, slots=True, kw_only=True)
class OverrideReading:
    """What ``overrides.profilingJob`` says in vain, and why it cannot be used at all."""

    ignored: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def read_override(spec: DGDRSpec, policy: ProfilingPolicySpec | None) -> OverrideReading:
    """Merge the override into nothing, to see what has no effect, or may not be asked for.

    Without a policy, which is waited for, nobody knows what may be asked for.
    """
    override = effective(spec).profiling_job_override
    skeleton: Manifest = {"template": {"metadata": {}, "spec": {"containers": [{}]}}}
    try:
        merged = overridden(skeleton, override or {})
    except CodecError as exc:
        return OverrideReading(problems=(str(exc),))
    ignored = tuple(merged.ignored)
    if policy is None:
        return OverrideReading(ignored=ignored)
    found = breaches(
        merged.spec,
        policy.overrides or JobFreedom(),
        job_deadline_s(policy),
        frozenset({REQUEST_VOLUME, ACCOUNT_VOLUME}),
    )
    return OverrideReading(ignored=ignored, problems=tuple(str(problem) for problem in found))
