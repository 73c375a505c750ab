"""``spec.overrides.profilingJob``: an allow-list merged into the Job.

What is not on the list stays as we render it and is reported, so that nobody waits for the effect
of a field that has none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dgdr_api.names import Label

Json = Mapping[str, Any]

_JOB = ("backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished", "suspend")
# Two profilers at once would measure everything twice, each disturbed by the other.
_SINGLE = ("completions", "parallelism")
_POD_REPLACED = (
    "tolerations",
    "nodeSelector",
    "affinity",
    "priorityClassName",
    "serviceAccountName",
    "automountServiceAccountToken",
    "runtimeClassName",
    "dnsPolicy",
    "dnsConfig",
    "terminationGracePeriodSeconds",
    "topologySpreadConstraints",
)
_POD_BY_NAME = ("imagePullSecrets", "volumes", "initContainers")
_CONTAINER_REPLACED = ("image", "resources")
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
    """Merge the allowed part of ``override`` into ``base``."""
    out = Overridden(dict(base))
    template = _object(override.get("template"))
    for key, value in override.items():
        if key in _JOB or (key in _SINGLE and value in (0, 1)):
            out.spec[key] = value
        elif key != "template":
            out.ignored.append(key)
    out.spec["template"] = {
        "metadata": _metadata(base["template"]["metadata"], template.get("metadata"), out),
        "spec": _pod(base["template"]["spec"], _object(template.get("spec")), out),
    }
    return out


def _metadata(base: Json, override: Any, out: Overridden) -> dict[str, Any]:
    meta = {**base}
    for key, value in _object(override).items():
        if key == "labels":
            allowed = {k: v for k, v in _object(value).items() if not _is_protected(k)}
            out.ignored += [f"template.metadata.labels[{k}]" for k in value if k not in allowed]
            meta["labels"] = {**meta.get("labels", {}), **allowed}
        elif key == "annotations":
            meta["annotations"] = {**meta.get("annotations", {}), **_object(value)}
        elif value is not None:
            out.ignored.append(f"template.metadata.{key}")
    return meta


def _is_protected(label: str) -> bool:
    return label in _PROTECTED_LABELS or label.startswith(_PROTECTED_PREFIX)


def _pod(base: Json, override: Json, out: Overridden) -> dict[str, Any]:
    pod = {**base}
    for key, value in override.items():
        if key in _POD_REPLACED:
            pod[key] = value
        elif key in _POD_BY_NAME:
            pod[key] = _by_name(pod.get(key) or (), value or (), "name")
        elif key == "securityContext":
            pod[key] = {**pod.get(key, {}), **_object(value)}
        elif key != "containers" and not (key == "restartPolicy" and value == "Never"):
            out.ignored.append(f"template.spec.{key}")
    for container in override.get("containers") or ():
        if container.get("name") in (None, "", _PROFILER):
            pod["containers"] = [_container(pod["containers"][0], container, out)]
        else:
            out.ignored.append(f"template.spec.containers[{container['name']}]")
    return pod


def _container(base: Json, override: Json, out: Overridden) -> dict[str, Any]:
    container = {**base}
    for key, value in override.items():
        if key in _CONTAINER_REPLACED:
            container[key] = value
        elif key in _CONTAINER_BY_NAME:
            container[key] = _by_name(container.get(key) or (), value or (), "name")
        elif key == "securityContext":
            container[key] = {**container.get(key, {}), **_object(value)}
        elif key == "envFrom":
            container[key] = [*(container.get(key) or ()), *(value or ())]
        elif key != "name":
            out.ignored.append(f"template.spec.containers[{_PROFILER}].{key}")
    return container


def _by_name(base: Iterable[Json], override: Iterable[Json], key: str) -> list[Json]:
    merged = {entry.get(key): entry for entry in base}
    merged.update({entry.get(key): entry for entry in override})
    return list(merged.values())


def _object(value: Any) -> Json:
    return value if isinstance(value, Mapping) else {}
