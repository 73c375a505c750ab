"""The pod template of a component: from JSON into its fields, and back.

Both codecs and the reconciler that makes Deployments use it, so that a pod has one reading.
"""

from collections.abc import Mapping
from typing import Any

from dgdr_api.graph import Component, Json
from dgdr_api.reading import CodecError, Reader, plain, set_

MAIN = "main"
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")
GPU = "nvidia.com/gpu"
GPU_PRODUCT = "nvidia.com/gpu.product"
"""Label of a node, by GPU feature discovery."""
# No cluster has as many devices, and Python reads no text of thousands of digits.
_MOST_DIGITS = 10


def read_template(template: object, path: str) -> dict[str, Any]:
    """Return the fields of a Component that a PodTemplateSpec holds."""
    reader = Reader(template, path)
    meta = reader.inner("metadata")
    spec = reader.inner("spec")
    containers = spec.objects("containers")
    main = next((c for c in containers if c.get("name") == MAIN), {})
    fields: dict[str, Any] = {
        "labels": meta.strings("labels"),
        "annotations": meta.strings("annotations"),
        "pod_meta": meta.rest(),
        "volumes": spec.entries("volumes", "name"),
        "tolerations": spec.objects("tolerations"),
        **read_main(main, spec.path("containers[main]")),
    }
    pod = spec.rest()
    _check_pod(Reader(pod, spec.path("")[:-1]))
    if any(c is not main for c in containers) or set(main) == {"name"}:
        # A bare name keeps the place of the main container among the others.
        pod["containers"] = [{"name": MAIN} if c is main else c for c in containers]
    return fields | {"pod": pod}


def read_main(container: Json, path: str) -> dict[str, Any]:
    """Return the fields of a Component that its main container holds."""
    reader = Reader(container, path)
    reader.take("name")
    fields = {
        "image": reader.text("image"),
        "command": reader.texts("command"),
        "args": reader.texts("args"),
        "working_dir": reader.text("workingDir"),
        "env": reader.variables("env"),
        "env_from": reader.objects("envFrom"),
        "volume_mounts": reader.entries("volumeMounts", "mountPath"),
    }
    rest = reader.rest()
    _check_container(Reader(rest, path))
    return fields | {"gpus": _gpus(rest.get("resources"), f"{path}.resources"), "container": rest}


def _check_pod(pod: Reader) -> None:
    """Check what is read of a pod although no field of a Component names it."""
    pod.number("terminationGracePeriodSeconds")
    pod.inner("securityContext")
    pod.text("serviceAccountName")
    pod.entries("imagePullSecrets", "name", may_lack=True)


def _check_container(container: Reader) -> None:
    """Check likewise what is read of the main container."""
    container.inner("lifecycle")
    for probe in PROBES:
        container.inner(probe)
    container.entries("ports", "name", may_lack=True)
    resources = container.inner("resources")
    resources.inner("limits")
    resources.inner("requests")


def _gpus(resources: object, path: str) -> int:
    """Read the GPUs of a container: its limit, or its request, which must be equal anyway."""
    reader = Reader(resources, path)
    for kind in ("limits", "requests"):
        value = reader.inner(kind).take(GPU)
        if value is not None:
            return whole_gpus(value, f"{path}.{kind}[{GPU}]")
    return 0


def whole_gpus(value: object, path: str) -> int:
    """Return a number of GPUs, which Kubernetes writes as a string.

    Raises:
        CodecError: it is none.
    """
    found = None if isinstance(value, bool) else whole_number(value)
    if found is None:
        raise CodecError(path, value, f"a whole number of GPUs, of at most {_MOST_DIGITS} digits")
    return found


def whole_number(amount: object) -> int | None:
    """Return an amount of devices; None where it is none, or more than anybody can have."""
    text = str(amount)
    return int(text) if text.isdecimal() and len(text) <= _MOST_DIGITS else None


def pod_template(component: Component) -> dict[str, Any]:
    """Return the PodTemplateSpec of a component; empty when nothing is said about its pods."""
    spec = dict(component.pod)
    main = main_container(component)
    places = spec.pop("containers", [])
    if len(main) > 1 and not any(place.get("name") == MAIN for place in places):
        places = [{"name": MAIN}, *places]
    containers = [main if place.get("name") == MAIN else place for place in places]
    set_(
        spec,
        volumes=plain(component.volumes),
        tolerations=plain(component.tolerations),
        containers=containers,
    )
    meta = dict(component.pod_meta)
    set_(meta, labels=dict(component.labels), annotations=dict(component.annotations))
    template: dict[str, Any] = {}
    set_(template, metadata=meta, spec=spec)
    return template


def main_container(component: Component) -> dict[str, Any]:
    """Return the container that runs the component, without the environment Dynamo needs."""
    main: dict[str, Any] = {"name": MAIN}
    main.update(component.container)
    set_(
        main,
        image=component.image,
        command=plain(component.command),
        args=plain(component.args),
        workingDir=component.working_dir,
        env=plain(component.env),
        envFrom=plain(component.env_from),
        volumeMounts=plain(component.volume_mounts),
    )
    if _gpus(main.get("resources"), "resources") != component.gpus:
        main["resources"] = _with_gpus(main.get("resources") or {}, component.gpus)
    return {key: value for key, value in main.items() if value not in (None, {})}


def _with_gpus(resources: Mapping[str, Any], gpus: int) -> dict[str, Any]:
    """Return the resources with that many GPUs; a limit implies the request."""
    changed = dict(resources)
    for kind in ("limits", "requests"):
        entries = {key: value for key, value in (changed.pop(kind, None) or {}).items()}
        had = entries.pop(GPU, None) is not None
        if gpus and (kind == "limits" or had):
            entries[GPU] = str(gpus)
        if entries:
            changed[kind] = entries
    return changed
