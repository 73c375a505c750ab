"""What both versions of a request's spec can say: fields that move, and no more.

v1alpha1 holds most of it in the object ``profilingConfig.config``, whose sections are named there.
Values are moved as they are; what has another shape than it should have stays where it is.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dgdr_api.conversion.notes import Note
from dgdr_api.defaults import V1ALPHA1, V1BETA1

Json = Mapping[str, Any]
Path = tuple[str, ...]

PROFILER = "profiler"
_CONFIG: Path = ("profilingConfig", "config")
_JOB: Path = ("overrides", "profilingJob", "template", "spec")
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_OPTIMIZATIONS = ("latency", "throughput")

_SAME: tuple[Path, ...] = (("model",), ("backend",), ("runtimeVersionOverride",))
_AUTO_APPLY = ("autoApply",)
_TEXTS: tuple[tuple[Path, Path], ...] = (
    ((*_CONFIG, "deployment", "modelCache", "pvcName"), ("modelCache", "pvcName")),
    ((*_CONFIG, "deployment", "modelCache", "modelPathInPvc"), ("modelCache", "pvcModelPath")),
    ((*_CONFIG, "deployment", "modelCache", "pvcMountPath"), ("modelCache", "pvcMountPath")),
)
# What manifests of the first releases write, which upstream moves nowhere: it means the same.
_OLD_TEXTS: tuple[tuple[Path, Path], ...] = (
    *(
        ((*_CONFIG, "deployment", *alpha), ("modelCache", beta))
        for beta, names in (
            ("pvcName", ("model_cache_pvc_name", "pvc_name")),
            ("pvcModelPath", ("model_cache_pvc_path", "pvc_path")),
            ("pvcMountPath", ("model_cache_pvc_mount_path", "mount_path")),
        )
        for alpha in ((names[0],), ("model_cache", names[1]))
    ),
    ((*_CONFIG, "deployment", "modelCache", "pvcPath"), ("modelCache", "pvcModelPath")),
    ((*_CONFIG, "deployment", "modelCache", "mountPath"), ("modelCache", "pvcMountPath")),
)
_GPUS_PER_NODE: tuple[Path, Path] = (
    (*_CONFIG, "hardware", "numGpusPerNode"),
    ("hardware", "numGpusPerNode"),
)
_OLD_GPUS_PER_NODE: Path = (*_CONFIG, "hardware", "num_gpus_per_node")
# Whether estimates stand for measurements.
_ESTIMATED: tuple[Path, Path] = (
    (*_CONFIG, "sweep", "useAiConfigurator"),
    (*_CONFIG, "sweep", "use_ai_configurator"),
)
_STRATEGY: Path = ("searchStrategy",)
_STRATEGIES = {True: "rapid", False: "thorough"}
_MILLISECONDS: tuple[tuple[Path, Path], ...] = (
    ((*_CONFIG, "sla", "ttft"), ("sla", "ttft")),
    ((*_CONFIG, "sla", "itl"), ("sla", "itl")),
)
_TOKENS: tuple[tuple[Path, Path], ...] = (
    ((*_CONFIG, "sla", "isl"), ("workload", "isl")),
    ((*_CONFIG, "sla", "osl"), ("workload", "osl")),
)
_E2E: Path = ("sla", "e2eLatency")
_OVERRIDES: Path = ("deploymentOverrides",)
_DGD: Path = ("overrides", "dgd")
_DGD_FRAME = {"apiVersion": "nvidia.com/v1beta1", "kind": "DynamoGraphDeployment"}
_OPTIMIZATION = ((*_CONFIG, "sla", "optimizationType"), ("sla", "optimizationType"))
_PLANNER = ((*_CONFIG, "planner"), ("features", "planner"))
_MOCKER = (("useMocker",), ("features", "mocker", "enabled"))
_IMAGES: tuple[Path, Path] = (
    ("profilingConfig", "profilerImage"),
    ("deploymentOverrides", "workersImage"),
)
_SCHEDULING: tuple[tuple[Path, Path], ...] = (
    (("profilingConfig", "tolerations"), (*_JOB, "tolerations")),
    (("profilingConfig", "nodeSelector"), (*_JOB, "nodeSelector")),
)
_RESOURCES: Path = ("profilingConfig", "resources")
_CONTAINERS: Path = (*_JOB, "containers")


def to_v1beta1(spec: Json) -> dict[str, Any]:
    """Return what v1beta1 can say of a v1alpha1 spec; the versions' defaults differ."""
    found: dict[str, Any] = {}
    _put(found, _AUTO_APPLY, _at(spec, _AUTO_APPLY) or V1ALPHA1.auto_apply)
    for path in _SAME:
        _put(found, path, _at(spec, path))
    _put(found, ("image",), next(filter(None, (_text(_at(spec, p)) for p in _IMAGES)), None))
    for alpha, beta in _OLD_TEXTS:
        _put(found, beta, _text(_at(spec, alpha)))
    _put(found, _GPUS_PER_NODE[1], _count(_at(spec, _OLD_GPUS_PER_NODE)))
    for alpha, beta, fits in _moves():
        _put(found, beta, fits(_at(spec, alpha)))
    _complete(found, [beta for _, beta in _MILLISECONDS], V1ALPHA1.latencies_ms)
    _complete(found, [beta for _, beta in _TOKENS], V1ALPHA1.lengths)
    if metadata := _metadata(_object(_at(spec, _OVERRIDES)) or {}):
        _put(found, _DGD, {**_DGD_FRAME, "metadata": metadata})
    _put(found, _STRATEGY, _strategy(spec))
    if _at(spec, _MOCKER[0]) is True:
        _put(found, _MOCKER[1], True)
    resources = _object(_at(spec, _RESOURCES))
    if resources:
        _put(found, _CONTAINERS, [{"name": PROFILER, "resources": dict(resources)}])
    elif _at(found, _JOB):
        # The schema of a Job's pod requires the list; an empty one is the documented idiom.
        _put(found, _CONTAINERS, [], empty=True)
    return found


def to_v1alpha1(spec: Json) -> dict[str, Any]:
    """Return what v1alpha1 can say of a v1beta1 spec."""
    found: dict[str, Any] = {"profilingConfig": {}}
    is_off = _at(spec, _AUTO_APPLY) is (not V1BETA1.auto_apply)
    _put(found, _AUTO_APPLY, not is_off)
    for path in _SAME:
        _put(found, path, _at(spec, path))
    _put(found, _IMAGES[0], _text(_at(spec, ("image",))))
    for alpha, beta, fits in _moves():
        _put(found, alpha, fits(_at(spec, beta)))
    if _at(spec, _E2E) is None:
        _complete(found, [alpha for alpha, _ in _MILLISECONDS], V1BETA1.latencies_ms)
    _complete(found, [alpha for alpha, _ in _TOKENS], V1BETA1.lengths)
    _put(found, _OVERRIDES, _metadata(_object(_at(spec, (*_DGD, "metadata"))) or {}))
    modes = [mode for mode, name in _STRATEGIES.items() if name == _at(spec, _STRATEGY)]
    _put(found, _ESTIMATED[0], modes[0] if modes else None)
    if _at(spec, _MOCKER[1]) is True:
        _put(found, _MOCKER[0], True)
    _put(found, _RESOURCES, _object(_profiler(_at(spec, _CONTAINERS)).get("resources")))
    return found


def with_both_targets(spec: Json, live: Json, note: Note) -> Json:
    """Return a v1beta1 spec with TTFT and ITL where one of them was edited.

    It takes none without the other; where it named neither, v1alpha1 read both.
    """
    paths = [beta for _, beta in _MILLISECONDS]
    named = [path for path in paths if _at(spec, path) is not None]
    was_read = all(_at(note.said, path) is None is not _at(note.read, path) for path in paths)
    targets = {path[-1]: _at(live, path) for path in paths}
    if len(named) != 1 or not was_read or None in targets.values():
        return spec
    return {**spec, "sla": {**spec["sla"], **targets}}


def _complete(found: dict[str, Any], paths: Sequence[Path], meant: Sequence[float]) -> None:
    """Say what is meant by what is not said; a part of an object stays a part."""
    if "model" not in found:
        return
    for path, value in zip(paths, meant, strict=True):
        if _at(found, path) is None:
            _put(found, path, value)


def _metadata(source: Json) -> dict[str, Any]:
    """Return name, labels and annotations of the generated deployment."""
    fits = {"name": _text, "labels": _object, "annotations": _object}
    found = {key: fit(source.get(key)) for key, fit in fits.items()}
    return {key: value for key, value in found.items() if value}


def _moves() -> list[tuple[Path, Path, Any]]:
    return [
        *((alpha, beta, _text) for alpha, beta in _TEXTS),
        *((alpha, beta, _number) for alpha, beta in _MILLISECONDS),
        *((alpha, beta, _whole) for alpha, beta in _TOKENS),
        (*_OPTIMIZATION, lambda value: value if value in _OPTIMIZATIONS else None),
        (*_PLANNER, _object),
        (*_GPUS_PER_NODE, _count),
        *((alpha, beta, _any) for alpha, beta in _SCHEDULING),
    ]


def _strategy(spec: Json) -> str | None:
    """Return how much is measured where it is said; measuring needs a definite backend."""
    said = [mode for path in _ESTIMATED if isinstance(mode := _at(spec, path), bool)]
    is_definite = _at(spec, ("backend",)) not in (None, "", "auto")
    return _STRATEGIES[said[0]] if said and (said[0] or is_definite) else None


def _profiler(containers: Any) -> Json:
    listed = containers if isinstance(containers, list) else []
    named = (c for c in listed if isinstance(c, Mapping) and c.get("name") == PROFILER)
    return next(named, {})


def _at(value: Any, path: Path) -> Any:
    """Return what stands at a path; None where there is nothing or something else on the way."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _put(into: dict[str, Any], path: Path, value: Any, *, empty: bool = False) -> None:
    if value is None or (value in ({}, [], "") and not empty):
        return
    for key in path[:-1]:
        into = into.setdefault(key, {})
    into[path[-1]] = value


def _any(value: Any) -> Any:
    return value


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _object(value: Any) -> Json | None:
    return value if isinstance(value, Mapping) else None


def _number(value: Any) -> float | None:
    """Return a number; templates write some as text."""
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    """Return a number of at least one."""
    return _whole(value) or None


def _whole(value: Any) -> int | None:
    """Return a number of tokens; v1beta1 has 32 bits for it, and fractions are cut off."""
    number = _number(value)
    if number is None or not 0 <= number < 2**31:
        return None
    return int(number)
