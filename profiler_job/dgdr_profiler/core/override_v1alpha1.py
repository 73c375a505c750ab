"""An override in the shape of v1alpha1, written in that of v1beta1.

Only overrides are translated: partial objects, whose values merge over a generated graph. A field
without a place in v1beta1 is refused, since a setting that is lost without a word looks applied.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dgdr_api.graph import Json
from dgdr_api.pods import GPU, MAIN
from dgdr_profiler.core.errors import InvalidRequest

API_VERSION = "nvidia.com/v1alpha1"
FIELD = "spec.overrides.dgd"

# Fields of both versions.
_SAME_SPEC = frozenset(
    {"annotations", "labels", "priorityClassName", "restart", "topologyConstraint", "experimental"}
)
_SAME_SERVICE = frozenset({"replicas", "multinode", "scalingAdapter", "topologyConstraint"})
_PROBES = ("livenessProbe", "readinessProbe")
# They say which component is meant; the generated one knows.
_IDENTITY = frozenset({"componentType", "subComponentType", "serviceName"})
# The size that stands for none in v1beta1.
_NO_SHARED_MEMORY = "0"
# Fields whose place is in the pod template.
_TEMPLATE = frozenset(
    {
        *("envs", "envFromSecret", "resources", "extraPodSpec", "extraPodMetadata"),
        *("volumeMounts", "labels", "annotations"),
    }
)
# What v1alpha1 calls the GPUs.
_RESOURCES = {"gpu": GPU, "cpu": "cpu", "memory": "memory"}


def translated(spec: Json, args: Mapping[str, Sequence[str]]) -> Json:
    """Return the spec of an override as v1beta1 writes it.

    Args:
        spec: spec of the v1alpha1 override.
        args: for each service the arguments that its own are appended to; none for a frontend.

    Raises:
        InvalidRequest: a field has no place in v1beta1, or is no object or list where it must be.
    """
    found: dict[str, Any] = {}
    for key, value in spec.items():
        if key in _SAME_SPEC:
            found[key] = value
        elif key == "envs":
            found["env"] = value
        elif key == "services":
            services = _object(value, "spec.services")
            claims = _claims(spec)
            found["components"] = [
                _component(name, _object(service, f"spec.services.{name}"), claims, args[name])
                for name, service in services.items()
            ]
        elif key not in ("pvcs", "backendFramework"):
            raise _unknown(f"spec.{key}")
    return found


def _component(name: str, service: Json, claims: frozenset[str], args: Sequence[str]) -> Json:
    where = f"spec.services.{name}"
    known = {*_SAME_SERVICE, *_IDENTITY, *_PROBES, "sharedMemory", *_TEMPLATE}
    for key in service:
        if key not in known:
            raise _unknown(f"{where}.{key}")
    found = {key: value for key, value in service.items() if key in _SAME_SERVICE}
    if "sharedMemory" in service:
        shared = _object(service["sharedMemory"], f"{where}.sharedMemory")
        size = _NO_SHARED_MEMORY if shared.get("disabled") else shared.get("size")
        found["sharedMemorySize"] = size
    if template := _template(service, where, claims, args):
        found["podTemplate"] = template
    return {"name": name, **found}


def _template(service: Json, where: str, claims: frozenset[str], args: Sequence[str]) -> Json:
    pod = dict(_object(service.get("extraPodSpec") or {}, f"{where}.extraPodSpec"))
    container = _object(pod.pop("mainContainer", None) or {}, f"{where}.extraPodSpec.mainContainer")
    main = {**container, **dict(_main(service, container, where))}
    if "args" in container:
        main["args"] = [*args, *container["args"]]
    if mounted := _mounted(service, claims):
        pod["volumes"] = [*pod.get("volumes", []), *mounted]
    if main or "containers" in pod:
        pod["containers"] = [{**main, "name": MAIN}, *pod.get("containers", [])]
    meta = _metadata(service, where)
    return {**({"metadata": meta} if meta else {}), **({"spec": pod} if pod else {})}


def _main(service: Json, container: Json, where: str) -> Iterator[tuple[str, Any]]:
    """Yield what the service says of its main container, beside the container's own fields."""
    if "envs" in service:
        yield "env", [*container.get("env", []), *service["envs"]]
    if "envFromSecret" in service:
        secret = {"secretRef": {"name": service["envFromSecret"]}}
        yield "envFrom", [*container.get("envFrom", []), secret]
    if "resources" in service:
        yield "resources", _resources(_object(service["resources"], f"{where}.resources"), where)
    for probe in _PROBES:
        if probe in service:
            yield probe, service[probe]
    if "volumeMounts" in service:
        mounts = [_mount(mount, where) for mount in service["volumeMounts"]]
        yield "volumeMounts", [*container.get("volumeMounts", []), *mounts]


def _resources(resources: Json, where: str) -> Json:
    found: dict[str, Any] = {}
    for kind, amounts in resources.items():
        if kind not in ("limits", "requests"):
            raise _unknown(f"{where}.resources.{kind}")
        found[kind] = dict(_amounts(_object(amounts, f"{where}.resources.{kind}")))
    return found


def _amounts(amounts: Json) -> Iterator[tuple[str, Any]]:
    for key, value in amounts.items():
        if key == "custom":
            yield from value.items()
        elif key != "gpuType":
            yield _RESOURCES.get(key, key), value


def _mount(mount: Json, where: str) -> Json:
    known = _object(mount, f"{where}.volumeMounts")
    return {"name": known.get("name"), "mountPath": known.get("mountPoint")}


def _mounted(service: Json, claims: frozenset[str]) -> list[Json]:
    """Return the volumes of the claims that a service mounts; v1alpha1 names them by the claim."""
    names = [mount.get("name") for mount in service.get("volumeMounts") or []]
    return [
        {"name": name, "persistentVolumeClaim": {"claimName": name}}
        for name in dict.fromkeys(names)
        if name in claims
    ]


def _claims(spec: Json) -> frozenset[str]:
    return frozenset(str(claim.get("name")) for claim in spec.get("pvcs") or [])


def _metadata(service: Json, where: str) -> Json:
    extra = _object(service.get("extraPodMetadata") or {}, f"{where}.extraPodMetadata")
    kinds = ("labels", "annotations")
    found = {kind: {**(service.get(kind) or {}), **(extra.get(kind) or {})} for kind in kinds}
    return {kind: values for kind, values in found.items() if values}


def _object(value: Any, where: str) -> Json:
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{FIELD}.{where}: {value!r} must be an object")
    return value


def _unknown(where: str) -> InvalidRequest:
    return InvalidRequest(
        f"{FIELD}.{where}: has no place in a generated deployment; remove it, or write the "
        "override as nvidia.com/v1beta1"
    )
