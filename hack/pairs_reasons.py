"""Why something differs from what NVIDIA's operator answers: one row for each kind of difference.

The first row whose places and sides fit is the reason. A row names no more than what was looked at:
a difference of a new kind is unexplained, and has to be looked at too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hack.pairs import Check, Difference


class Side(StrEnum):
    """Whose answer is better, and for whom it is."""

    OURS = "ours says or does more"
    SAME = "the same in other words"
    CHOICE = "chosen otherwise, with a decision note"
    UPSTREAM = "of NVIDIA's operator only"
    LATER = "not done yet, and said to the user"


@dataclass(frozen=True, slots=True)
class Reason:
    """One kind of difference."""

    side: Side
    text: str
    checks: tuple[Check, ...]
    place: re.Pattern[str]
    fits: Callable[[Difference], bool]

    def explains(self, one: Difference) -> bool:
        """Whether this is why it differs."""
        return one.check in self.checks and bool(self.place.search(one.place)) and self.fits(one)


def reason_of(one: Difference) -> Reason | None:
    """Return the reason; None where nobody has given one."""
    return next((reason for reason in REASONS if reason.explains(one)), None)


def _any(_: Difference) -> bool:
    return True


def _only_ours(one: Difference) -> bool:
    return one.theirs is None


def _only_theirs(one: Difference) -> bool:
    return one.ours is None


def _ours(value: Any) -> Callable[[Difference], bool]:
    return lambda one: one.ours == value


def _theirs(*values: Any) -> Callable[[Difference], bool]:
    return lambda one: one.theirs in values


_STORED = (Check.STORED, Check.READ)
_HUB = (Check.CONVERTED, Check.STORED)
_ALPHA = (Check.CONVERTED, Check.READ, Check.THEIRS_READ)
_BACK = (Check.THEIRS_BACK,)
_READ = (Check.READ, Check.THEIRS_READ)
_RENDERED = (Check.RENDERED,)
_POD = r"^(Deployment|LeaderWorkerSet)\.spec\.(followers\.)?template\.spec\."
_MAIN = rf"{_POD}containers\[(main)?\]\."


def _row(
    side: Side,
    text: str,
    checks: tuple[Check, ...],
    place: str,
    fits: Callable[[Difference], bool] = _any,
) -> Reason:
    return Reason(side, text, checks, re.compile(place), fits)


_OF_DEPLOYMENTS = (
    _row(
        Side.OURS, "a mounted claim is a volume of the pod; theirs stores the mount alone",
        _HUB, r"podTemplate\.spec\.volumes(\[\])?$", _only_ours,
    ),
    _row(
        Side.OURS, "roles that only names, arguments or no known type tell are found",
        (*_HUB, *_BACK), r"^\.spec\.components\[\]\.type$",
        lambda one: one.theirs in (None, "worker", "main", "default"),
    ),
    _row(
        Side.OURS, "a type of v1alpha1 comes back as it was written",
        _READ, r"\.(componentType|subComponentType)$", _theirs("worker", "decode", "prefill"),
    ),
    _row(
        Side.UPSTREAM, "their note has lost it: a role as a type, an empty list, an empty value",
        _BACK, r"\.(componentType|subComponentType|tolerations|value)$",
        lambda one: one.theirs in ("decode", "prefill", [], "", None),
    ),
    _row(
        Side.OURS, "an empty list and an empty value are kept",
        _STORED, r"\.(tolerations|value)$", lambda one: one.ours in ([], ""),
    ),
    _row(
        Side.SAME, "claims and secrets in v1alpha1's own words, read back alike (0022)",
        _ALPHA,
        r"^\.spec\.(pvcs$|services\[\]\.(envFromSecret|envs|frontendSidecar|volumeMounts"
        r"|extraPodSpec\.(containers|volumes|mainContainer\.(env|envFrom|volumeMounts))))",
        lambda one: one.version == "v1beta1",
    ),
    _row(
        Side.CHOICE, "replicas are not filled in, so that they are nobody's (0024)",
        _STORED, r"\.replicas$", _theirs(1),
    ),
    _row(
        Side.UPSTREAM, "their webhook's annotations: pathway and release",
        _STORED, r"^\.metadata\.annotations", _only_theirs,
    ),
    _row(
        Side.UPSTREAM, "defaults of fields without effect here, which are said",
        _STORED, r"(experimental|services\[\])\.(checkpoint|gpuMemoryService)\.", _only_theirs,
    ),
    _row(
        Side.SAME, "a default of Kubernetes that their schema fills in",
        _STORED, r"\.ports\[\]\.protocol$", _theirs("TCP"),
    ),
    _row(Side.SAME, "null is read back as null", _READ, r"^\.spec$", _theirs({})),
)  # fmt: skip

_OF_REQUESTS = (
    _row(
        Side.OURS, "sweep mode and GPUs per node of the blob have their meaning, both ways",
        (*_HUB, *_ALPHA),
        r"^\.spec\.(searchStrategy|hardware|profilingConfig\.config(\.sweep.*|\.hardware)?)$",
        lambda one: one.ours is not None,
    ),
    _row(
        Side.OURS, "what one version means by no target is said in the other (0040)",
        (*_HUB, *_ALPHA, *_BACK),
        r"^\.spec\.(sla|workload|profilingConfig\.config(\.sla)?)(\.(ttft|itl|isl|osl))?$",
        lambda one: one.ours is not None,
    ),
    _row(
        Side.OURS, "name, labels and annotations of the deployment have their meaning, both ways",
        (*_HUB, *_ALPHA), r"^\.spec\.(overrides(\.dgd)?|deploymentOverrides)", _only_ours,
    ),
    _row(
        Side.CHOICE, "no default is written: what is meant depends on the version of origin (0040)",
        _STORED,
        r"^\.spec\.(autoApply|backend|searchStrategy|modelCache\.pvcMountPath"
        r"|profilingConfig\.config\.deployment\.modelCache\.pvcMountPath)$",
        _only_theirs,
    ),
    _row(
        Side.CHOICE, "the image of requests without one is a chart value of ours (0024)",
        _STORED, r"^\.spec\.(image|profilingConfig\.profilerImage)$", _only_theirs,
    ),
    _row(
        Side.OURS, "autoApply says in v1alpha1 what it means in v1beta1",
        (Check.CONVERTED,), r"^\.spec\.autoApply$", _ours(False),
    ),
    _row(
        Side.UPSTREAM, "written out by their conversion, so that it is not known whether it was",
        _BACK, r"^\.spec\.autoApply$", _ours(True),
    ),
    _row(
        Side.SAME, "an empty text that Go writes", (Check.CONVERTED,),
        r"^\.spec\.(backend|profilingConfig\.profilerImage)$", _theirs(""),
    ),
    _row(
        Side.SAME, "what v1alpha1 means by nothing, written out by their schema",
        _READ, r"^\.spec\.(useMocker|enableGpuDiscovery)$", _theirs(True, False),
    ),
)  # fmt: skip

_OF_ADMISSION = (
    _row(
        Side.CHOICE, "images need no semantic version; the newest release is assumed (0024)",
        (Check.REFUSED,), r"runtimeVersionOverride$", _only_theirs,
    ),
    _row(
        Side.OURS, "the path is that of the version that was written",
        (Check.REFUSED,), r"^spec\.(components|services)$",
    ),
    _row(
        Side.OURS, "accepted, and said to have no effect here",
        (Check.REFUSED,), r"\.experimental\.(checkpoint|gpuMemoryService)", _only_theirs,
    ),
    _row(
        Side.SAME, "a name that the API server itself refuses, before any webhook",
        (Check.REFUSED,), r"^metadata\.(name|namespace)$", _only_theirs,
    ),
)  # fmt: skip

_OF_PODS = (
    _row(
        Side.SAME, "defaults of Kubernetes, written out or left out",
        _RENDERED, r"(fieldRef\.apiVersion|httpGet\.scheme|successThreshold|protocol"
        r"|spec\.restartPolicy|Service\.spec\.type)$",
    ),
    _row(
        Side.OURS, "whole seconds, patience for large models, no death by one slow answer",
        _RENDERED, rf"{_MAIN}(startup|liveness|readiness)Probe"
        r"(\.(failureThreshold|periodSeconds|initialDelaySeconds|timeoutSeconds))?$",
        lambda one: one.ours is not None or one.place.endswith("initialDelaySeconds"),
    ),
    _row(
        Side.OURS, "a pod goes on serving until frontends know that it goes",
        _RENDERED, rf"({_MAIN}(lifecycle|env\[DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS\])"
        rf"|{_POD}terminationGracePeriodSeconds)$",
    ),
    _row(
        Side.OURS, "requests where there are none, and as many GPUs as the limit",
        _RENDERED, rf"{_MAIN}resources", _only_ours,
    ),
    _row(
        Side.OURS, "the last words of a crash are in the pod's status",
        _RENDERED, rf"{_MAIN}terminationMessagePolicy$",
    ),
    _row(
        Side.OURS, "the planes are said, and no release's default decides",
        _RENDERED, rf"{_MAIN}env\[DYN_(EVENT|REQUEST)_PLANE\]$", _only_ours,
    ),
    _row(
        Side.OURS, "the user's own /dev/shm stays; theirs puts another in its place",
        _RENDERED, rf"{_POD}(volumes|containers\[main\]\.volumeMounts)"
        r"\[(shared-memory)?\](\.emptyDir\.sizeLimit)?$",
    ),
    _row(
        Side.SAME, "our volumes come first", _RENDERED, r"(volumes|volumeMounts)\[order\]$",
    ),
    _row(
        Side.OURS, "a command of the user's gets no arguments of ours",
        _RENDERED, rf"{_MAIN}args$", _theirs(["-m", "dynamo.frontend"]),
    ),
    _row(
        Side.CHOICE, "flags of nodes stand behind the engine's name, and a shell multiplies (0029)",
        _RENDERED, r"^LeaderWorkerSet.*containers\[main\]\.args(\[\])?$",
    ),
    _row(
        Side.CHOICE, "followers wait for no leader by a script: the group starts again (0029)",
        _RENDERED, r"^(ConfigMap$|LeaderWorkerSet\.spec\.followers.*(initContainers|volumes\[\])$)",
        _only_theirs,
    ),
    _row(
        Side.OURS, "groups restart as a whole and are replaced one at a time",
        _RENDERED, r"^LeaderWorkerSet\.spec\.(restartPolicy|rolloutStrategy)",
    ),
    _row(
        Side.OURS, "a rollout may take as long as a large model loads",
        _RENDERED, r"^Deployment\.spec\.progressDeadlineSeconds$",
    ),
    _row(
        Side.OURS, "engines and frontends whose type v1beta1 does not know run as what they are",
        _RENDERED, rf"({_MAIN}(ports|(liveness|readiness|startup)Probe"
        r"|env\[(DYNAMO_PORT|DYN_HTTP_PORT|DYN_SYSTEM_\w+|DYN_HEALTH_CHECK_ENABLED|NIXL_\w+)\])"
        r"|^Service\.spec\.ports)",
        _any,
    ),
    _row(
        Side.OURS, "roles are found in pods' labels and variables too",
        _RENDERED, r"(dynamo-component-type|dynamo-sub-component-type|DYN_COMPONENT\]\.value)$",
    ),
    _row(
        Side.UPSTREAM, "an empty value, which Go leaves out",
        _RENDERED, rf"{_MAIN}env\[\w+\]\.value$", _ours(""),
    ),
)  # fmt: skip

_OF_NAMES = (
    _row(
        Side.CHOICE, "no hash in names: a Deployment rolls its own pods",
        _RENDERED, r"(dynamo-worker-hash|DYN_NAMESPACE_(WORKER_SUFFIX|PREFIX)\]"
        r"|nvidia\.com/selector)$",
    ),
    _row(
        Side.OURS, "objects of a deployment are found by one label, also Services and groups",
        _RENDERED, r"(nvidia\.com/(managed-by|dynamo-component-class)"
        r"|Service\.spec\.selector\.nvidia\.com/[\w-]+)$",
    ),
    _row(
        Side.SAME, "discovery reads these labels at Services, where they are",
        _RENDERED, r"template\.metadata\.labels\.nvidia\.com/dynamo-discovery-(backend|enabled)$",
    ),
    _row(
        Side.OURS, "the label is the namespace that pods run in; theirs differs from the variable",
        _RENDERED, r"template\.metadata\.labels\.nvidia\.com/dynamo-namespace$",
    ),
    _row(
        Side.UPSTREAM, "modelRef is for DynamoModel; FieldsWithoutEffect says so",
        _RENDERED, r"(dynamo-base-model-hash|template\.metadata\.annotations|^Service)$",
    ),
    _row(
        Side.UPSTREAM, "for its planner's load-based mode; ours where a planner component is",
        _RENDERED, rf"{_MAIN}env\[DYN_FORWARDPASS_METRIC_PORT\]$", _only_theirs,
    ),
    _row(
        Side.UPSTREAM, "deprecated since 1.0; ours for images before that",
        _RENDERED, rf"{_MAIN}env\[DYN_SYSTEM_ENABLED\]$", _only_theirs,
    ),
    _row(
        Side.UPSTREAM, "a frontend beside an engine mounts the engine's claims only if it says so",
        _RENDERED, rf"{_MAIN}volumeMounts$", _only_theirs,
    ),
    _row(
        Side.OURS, "a planner runs as an account of its own deployment",
        _RENDERED, rf"{_POD}serviceAccountName$", _theirs("planner-serviceaccount"),
    ),
    _row(
        Side.CHOICE, "accounts and rights have other names; SSH is for TensorRT-LLM (0029)",
        _RENDERED, r"^(Role|RoleBinding|ServiceAccount|Secret)$",
    ),
    _row(
        Side.UPSTREAM, "the input itself, its components as objects, claims that were there before",
        _RENDERED, r"^(DynamoComponentDeployment|DynamoGraphDeployment|PersistentVolumeClaim)$",
        _only_theirs,
    ),
    _row(
        Side.LATER, "an endpoint picker of the Gateway API; Ready says so",
        _RENDERED, r"^(InferencePool$|.*type epp)",
    ),
    _row(
        Side.CHOICE, "TensorRT-LLM over nodes needs SSH; Ready says so (0029)",
        _RENDERED, r"mpirun over SSH",
    ),
    _row(
        Side.SAME, "neither runs an engine over nodes without its command",
        _RENDERED, r"needs its command and args",
    ),
)  # fmt: skip

REASONS = (*_OF_DEPLOYMENTS, *_OF_REQUESTS, *_OF_ADMISSION, *_OF_NAMES, *_OF_PODS)
