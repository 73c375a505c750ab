"""One service of a v1alpha1 graph: into a Component, and back."""

from collections.abc import Sequence
from typing import Any

from dgdr_api import sidecar_v1alpha1 as sidecars
from dgdr_api.claims_v1alpha1 import read_cache, read_storage, write_storage
from dgdr_api.codec_v1beta1 import read_nodes
from dgdr_api.graph import Component, Json, Role
from dgdr_api.pods import MAIN, main_container, read_main
from dgdr_api.reading import Reader, name_of, plain, set_
from dgdr_api.resources_v1alpha1 import merged_resources, read_resources, write_resources
from dgdr_api.roles_v1alpha1 import types_of
from dgdr_api.sidecar_v1alpha1 import only_secret, secrets

# Fields of both versions that nothing here reads.
_SAME = (
    *("modelRef", "eppConfig", "topologyConstraint", "globalDynamoNamespace"),
    *("minAvailable", "runtimeVersionOverride"),
)
_PROBES = ("livenessProbe", "readinessProbe")
_MOUNTS = "volumeMounts"
# The size that stands for none in v1beta1.
_NO_SHARED_MEMORY = "0"


def read_service(
    name: str, role: Role, service: Json, path: str
) -> tuple[Component, tuple[str, ...]]:
    """Read a service of that role; the paths are those of what a Component has no place for.

    Raises:
        CodecError: a field cannot be read; the error names it.
    """
    reader = Reader(service, path)
    # They are in the role; the name is that of the entry.
    for key in ("componentType", "subComponentType", "serviceName"):
        reader.text(key)
    mounts = reader.objects(_MOUNTS)
    resources = reader.inner("resources")
    sidecar = sidecars.read_sidecar(reader.inner(sidecars.FIELD))
    component = Component(
        name=name,
        role=role,
        replicas=reader.number("replicas"),
        nodes=read_nodes(reader.take("multinode"), reader.path("multinode")),
        shared_memory_size=_read_memory(reader.inner("sharedMemory")),
        scaling_adapter=reader.inner("scalingAdapter").take("enabled") is True,
        extra=_read_extra(reader, read_cache(mounts, reader.path(_MOUNTS)), sidecar),
        **_read_metadata(reader),
        **_read_pod(reader, resources, mounts, sidecar),
    )
    left = [inner.path(key) for inner in (reader, resources) for key in inner.rest()]
    return component, tuple(left)


def _read_extra(reader: Reader, cache: Json | None, sidecar: Json | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    set_(found, **{key: reader.take(key) for key in _SAME}, compilationCache=cache)
    if sidecar:
        found[sidecars.FIELD] = sidecars.NAME
    return found


def _read_pod(
    reader: Reader, resources: Reader, mounts: Sequence[Json], sidecar: Json | None
) -> dict[str, Any]:
    """Return what the pod's spec holds, under which the service's own fields are laid."""
    pod = reader.inner("extraPodSpec")
    volumes = pod.objects("volumes")
    storage = read_storage(mounts, volumes, reader.path(_MOUNTS))
    container = _read_container(reader, resources, pod.inner("mainContainer"))
    main = read_main(container, pod.path("mainContainer"))
    # There is one main container; upstream drops another of its name.
    others = [c for c in pod.objects("containers") if c.get("name") != MAIN]
    return {
        **main,
        "volumes": (*volumes, *storage.volumes),
        "volume_mounts": (*main["volume_mounts"], *storage.mounts),
        "tolerations": pod.objects("tolerations"),
        "pod": _with(pod.rest(), containers=[*others, *([sidecar] if sidecar else [])]),
    }


def _read_container(reader: Reader, resources: Reader, main: Reader) -> dict[str, Any]:
    main.take("name")
    probes = {probe: reader.inner(probe).rest() for probe in _PROBES}
    secret = reader.text("envFromSecret")
    found = _with(
        {},
        **probes,
        env=_merged_env(reader.objects("envs"), main.objects("env")),
        envFrom=[*main.objects("envFrom"), *secrets(secret)],
        resources=merged_resources(read_resources(resources), main.inner("resources")),
    )
    return _with(found, **main.rest())


def _with(known: Json, **values: Any) -> dict[str, Any]:
    """Return what is known with the values over it that are not empty."""
    found = dict(known)
    set_(found, **values)
    return found


def _merged_env(below: Sequence[Json], above: Sequence[Json]) -> list[Json]:
    """Lay the main container's entries over the service's, which keep their places."""
    named = {name: entry for entry in above if (name := name_of(entry))}
    known = {name for entry in below if (name := name_of(entry))}
    replaced = [named.get(name_of(entry) or "", entry) for entry in below]
    return [*replaced, *(entry for entry in above if name_of(entry) not in known)]


def _read_memory(memory: Reader) -> str | None:
    size = memory.take("size")
    if memory.take("disabled") is True:
        return _NO_SHARED_MEMORY
    return None if size is None else str(size)


def _read_metadata(reader: Reader) -> dict[str, Any]:
    meta = reader.inner("extraPodMetadata")
    return {
        "labels": {**reader.strings("labels"), **meta.strings("labels")},
        "annotations": {**reader.strings("annotations"), **meta.strings("annotations")},
        "pod_meta": meta.rest(),
    }


def write_service(component: Component) -> dict[str, Any]:
    """Write a component as a service, as far as v1alpha1 can say it."""
    kind, sub = types_of(component.role)
    meta = _with(
        component.pod_meta,
        labels=dict(component.labels),
        annotations=dict(component.annotations),
    )
    return _with(
        {},
        componentType=kind or None,
        subComponentType=sub,
        replicas=component.replicas,
        multinode={"nodeCount": component.nodes} if component.nodes > 1 else None,
        scalingAdapter={"enabled": True} if component.scaling_adapter else None,
        sharedMemory=_write_memory(component.shared_memory_size),
        **_write_pod(component),
        extraPodMetadata=meta,
        **{key: component.extra.get(key) for key in _SAME},
    )


def _write_pod(component: Component) -> dict[str, Any]:
    """Return the pod's spec, and the service's own fields that are about it."""
    kept, mounts = write_storage(component)
    sidecar, containers = sidecars.write_sidecar(component)
    secret = only_secret(component.env_from)
    main = main_container(component)
    resources, others = write_resources(main.pop("resources", None))
    pod = _with(
        {key: value for key, value in component.pod.items() if key != "containers"},
        volumes=plain(kept.volumes),
        tolerations=plain(component.tolerations),
        containers=[c for c in containers if c.get("name") != MAIN],
        mainContainer=_with(_write_main(main, kept.mounts, secret), resources=others),
    )
    return {
        "envFromSecret": secret,
        "resources": resources,
        **{probe: main.get(probe) for probe in _PROBES},
        _MOUNTS: mounts,
        sidecars.FIELD: sidecar,
        "extraPodSpec": pod,
    }


def _write_main(main: Json, mounts: Sequence[Json], secret: str | None) -> dict[str, Any]:
    """Return the main container, less what the service says itself."""
    said = {"name", _MOUNTS, *_PROBES, *(["envFrom"] if secret else [])}
    left = {key: value for key, value in main.items() if key not in said}
    return _with(left, volumeMounts=plain(mounts))


def _write_memory(size: str | None) -> dict[str, Any] | None:
    if size is None:
        return None
    return {"disabled": True} if size == _NO_SHARED_MEMORY else {"size": size}
