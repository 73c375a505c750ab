"""Paths of v1beta1 in the words of v1alpha1, for those who wrote their object in that version."""

import re
from collections.abc import Mapping
from typing import Any

_COMPONENT = re.compile(r"^spec\.components\[(\d+)\]")
_ANY_COMPONENT = re.compile(r"spec\.components\[(\d+)\]")
_BLOB = "spec.profilingConfig.config"
_OF_REQUEST = (
    ("spec.image", "spec.profilingConfig.profilerImage"),
    ("spec.sla", f"{_BLOB}.sla"),
    ("spec.workload.isl", f"{_BLOB}.sla.isl"),
    ("spec.workload.osl", f"{_BLOB}.sla.osl"),
    ("spec.modelCache.pvcModelPath", f"{_BLOB}.deployment.modelCache.modelPathInPvc"),
    ("spec.modelCache", f"{_BLOB}.deployment.modelCache"),
    ("spec.features.planner", f"{_BLOB}.planner"),
    ("spec.features.mocker.enabled", "spec.useMocker"),
)
_OF_SERVICE = (
    (".type", ".componentType"),
    (".podTemplate.spec.containers[main]", ".extraPodSpec.mainContainer"),
    (".podTemplate.spec", ".extraPodSpec"),
    (".podTemplate.metadata", ".extraPodMetadata"),
    (".sharedMemorySize", ".sharedMemory.size"),
    (".compilationCache", ".volumeMounts"),
)
_MAIN = re.compile(r"^\.podTemplate\.spec\.containers\[\d+\]\.image$")


def path_in_v1alpha1(path: str, hub: Mapping[str, Any]) -> str:
    """Return a path of the stored object as whoever wrote v1alpha1 knows it.

    Args:
        path: a path of v1beta1; one of v1alpha1 stays as it is.
        hub: the object in v1beta1, for the names of its components.
    """
    found = _COMPONENT.match(path)
    if found is None:
        return "spec.services" if path == "spec.components" else _renamed(path, _OF_REQUEST)
    components = hub["spec"]["components"]
    name = components[int(found[1])].get("name")
    rest = _MAIN.sub(".extraPodSpec.mainContainer.image", path[found.end() :])
    return f"spec.services[{name}]{_renamed(rest, _OF_SERVICE)}"


def with_names(text: str, hub: Mapping[str, Any]) -> str:
    """Return a text with the names of components in place of their numbers, which edits shift."""
    spec = hub.get("spec")
    components = spec.get("components") if isinstance(spec, Mapping) else None

    def named(found: re.Match[str]) -> str:
        number = int(found[1])
        one = components[number] if components and number < len(components) else None
        name = one.get("name") if isinstance(one, Mapping) else None
        return f"spec.components[{name!r}]" if isinstance(name, str) else found[0]

    return _ANY_COMPONENT.sub(named, text)


def _renamed(path: str, names: tuple[tuple[str, str], ...]) -> str:
    for new, old in names:
        if path == new or path.startswith((f"{new}.", f"{new}[", f"{new}:", f"{new} ")):
            return f"{old}{path[len(new) :]}"
    return path
