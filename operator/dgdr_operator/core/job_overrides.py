"""``spec.overrides.profilingJob``: an allow-list merged into the Job.

What is not on the list stays as we render it and is reported, so that nobody waits for the effect
of a field that has none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dgdr_api.names import Label
from dgdr_api.reading import Reader

Json = Mapping[str, Any]

PATH = "spec.overrides.profilingJob"
_JOB = ("backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "suspend")
# Two profilers at once would measure everything twice, each disturbed by the other.
_SINGLE = ("completions", "parallelism")
_POD_REPLACED = (
    "tolerations",
    "nodeSelector",
    "affinity",
    "priorityClassName",
    "serviceAccountName",
    "runtimeClassName",
    "dnsPolicy",
    "dnsConfig",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
)
_POD_BY_NAME = ("imagePullSecrets", "volumes")
# The profiler's container alone gets a token, whatever the pod says.
_HELD_ANYWAY = (("restartPolicy", "Never"), ("automountServiceAccountToken", False))
_CONTAINER_REPLACED = ("image",)
_CONTAINER_BY_NAME = ("env", "volumeMounts")
_PROTECTED_LABELS = (Label.JOB_APP.value, Label.JOB_DGDR.value, Label.MANAGED_BY.value)
_PROTECTED_PREFIX = "dgdr.nvidia.com/"
_PROFILER = "profiler"


@dataclass(slots=True)
class Overridden:
    """A JobSpec after the merge, and the paths that had no effect."""

    spec: dict[str, Any]
    ignored: list[str] = field(default_factory=list)


def overridden(base: Json, override: Json) -> Overridden:
    """Merge the allowed part of ``override`` into ``base``.

    Raises:
        CodecError: something of the allowed part has another shape than Kubernetes gives it.
    """
    out = Overridden(dict(base))
    reader = Reader(override, PATH)
    template = reader.inner("template")
    for key, value in _given(reader).items():
        if key in _JOB or (key in _SINGLE and value in (0, 1)):
            out.spec[key] = value
        else:
            out.ignored.append(key)
    out.spec["template"] = {
        "metadata": _metadata(base["template"]["metadata"], template.inner("metadata"), out),
        "spec": _pod(base["template"]["spec"], template.inner("spec"), out),
    }
    return out


def _metadata(base: Json, override: Reader, out: Overridden) -> dict[str, Any]:
    meta = {**base}
    if labels := override.strings("labels"):
        allowed = {key: value for key, value in labels.items() if not _is_protected(key)}
        out.ignored += [f"template.metadata.labels[{k}]" for k in labels if k not in allowed]
        meta["labels"] = {**meta.get("labels", {}), **allowed}
    if annotations := override.strings("annotations"):
        meta["annotations"] = {**meta.get("annotations", {}), **annotations}
    out.ignored += [f"template.metadata.{key}" for key in _given(override)]
    return meta


def _given(reader: Reader) -> dict[str, Any]:
    """Return what nobody took: null stands for nothing, and must not take a limit away."""
    return {key: value for key, value in reader.rest().items() if value is not None}


def _is_protected(label: str) -> bool:
    return label in _PROTECTED_LABELS or label.startswith(_PROTECTED_PREFIX)


def _pod(base: Json, override: Reader, out: Overridden) -> dict[str, Any]:
    pod = {**base}
    _containers(pod, override, out)
    _merge(pod, override, _POD_BY_NAME)
    for key, value in _given(override).items():
        if key in _POD_REPLACED:
            pod[key] = value
        elif (key, value) not in _HELD_ANYWAY:
            out.ignored.append(f"template.spec.{key}")
    return pod


def _containers(pod: dict[str, Any], override: Reader, out: Overridden) -> None:
    """Merge the profiler's container, and take init containers as they are.

    An example of upstream's has the profiler among the latter, and means it: no pod has two
    containers of one name.
    """
    before = override.entries("initContainers", "name")
    named = [("initContainers", i, e) for i, e in enumerate(before) if e["name"] == _PROFILER]
    beside = [("containers", i, e) for i, e in enumerate(override.objects("containers"))]
    for key, index, entry in (*beside, *named):
        container = Reader(entry, override.path(f"{key}[{index}]"))
        if (name := container.text("name")) in (None, "", _PROFILER):
            pod["containers"] = [_container(pod["containers"][0], container, out)]
        else:
            out.ignored.append(f"template.spec.containers[{name}]")
    for index, entry in enumerate(before):
        _check_shape(Reader(entry, override.path(f"initContainers[{index}]")))
    if others := [dict(entry) for entry in before if entry["name"] != _PROFILER]:
        pod["initContainers"] = others


def _check_shape(container: Reader) -> None:
    """Raise where an init container has another shape than what its limits are read from."""
    for key in _CONTAINER_BY_NAME:
        container.entries(key, "name")
    container.objects("envFrom")
    container.objects("ports")
    container.inner("securityContext")
    _check_resources(container.inner("resources"))


def _check_resources(resources: Reader) -> None:
    resources.inner("limits")
    resources.inner("requests")
    resources.entries("claims", "name")


def _container(base: Json, override: Reader, out: Overridden) -> dict[str, Any]:
    container = {**base}
    if sources := override.objects("envFrom"):
        container["envFrom"] = [*(container.get("envFrom") or ()), *sources]
    _merge(container, override, _CONTAINER_BY_NAME)
    if resources := override.take("resources"):
        _check_resources(Reader(resources, override.path("resources")))
        container["resources"] = resources
    for key, value in _given(override).items():
        if key in _CONTAINER_REPLACED:
            container[key] = value
        else:
            out.ignored.append(f"template.spec.containers[{_PROFILER}].{key}")
    return container


def _merge(into: dict[str, Any], override: Reader, lists: Iterable[str]) -> None:
    """Merge what pods and containers have alike: lists by name, and the security context."""
    for key in lists:
        if entries := override.entries(key, "name"):
            named = {entry.get("name"): entry for entry in (*(into.get(key) or ()), *entries)}
            into[key] = list(named.values())
    if security := _given(override.inner("securityContext")):
        into["securityContext"] = {**into.get("securityContext", {}), **security}
