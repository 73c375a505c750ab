"""DynamoGraphDeployment v1beta1: manifest to Graph and back.

A Graph is what is wanted, so status and what the API server fills in are left behind. All the
rest survives: ``encode(decode(manifest))`` is the manifest, but for empty and null fields.
"""

from typing import Any

from dgdr_api.envelope import opened, read_identity, wrapped
from dgdr_api.graph import Component, Graph, Json, Role
from dgdr_api.pods import pod_template, read_template
from dgdr_api.reading import CodecError, Reader, plain, set_

API_VERSION = "nvidia.com/v1beta1"


def decode(manifest: Json) -> Graph:
    """Read a DynamoGraphDeployment.

    Raises:
        CodecError: a field cannot be read; the error names it.
    """
    metadata, spec = opened(manifest, API_VERSION)
    graph = Graph(
        **read_identity(metadata),
        backend=spec.text("backendFramework"),
        env=spec.variables("env"),
        pod_labels=spec.strings("labels"),
        pod_annotations=spec.strings("annotations"),
        components=tuple(
            read_component(entry, f"spec.components[{index}]")
            for index, entry in enumerate(spec.objects("components"))
        ),
    )
    extra: dict[str, Any] = {}
    set_(extra, metadata=metadata.rest(), spec=spec.rest())
    return graph.with_(extra=extra)


def read_component(entry: Json, path: str) -> Component:
    """Read one component.

    Raises:
        CodecError: a field cannot be read; the error names it below ``path``.
    """
    reader = Reader(entry, path)
    name = reader.text("name")
    if not name:
        raise CodecError(f"{path}.name", name, "the component's name")
    adapter = reader.take("scalingAdapter")
    component = Component(
        name=name,
        role=_role(reader.text("type"), f"{path}.type"),
        replicas=reader.number("replicas"),
        nodes=read_nodes(reader.take("multinode"), f"{path}.multinode"),
        shared_memory_size=_size(reader.take("sharedMemorySize")),
        scaling_adapter=_enabled(adapter, f"{path}.scalingAdapter"),
        **read_template(reader.take("podTemplate"), f"{path}.podTemplate"),
    )
    extra = reader.rest()
    _check_cache(Reader(extra, path))
    if adapter:
        # {} and {enabled: true} mean the same; the user's spelling is kept.
        extra["scalingAdapter"] = adapter
    return component.with_(extra=extra)


def _role(text: str | None, path: str) -> Role:
    try:
        return Role(text or "")
    except ValueError as exc:
        raise CodecError(path, text, f"one of {', '.join(filter(None, Role))}") from exc


def read_nodes(multinode: object, path: str) -> int:
    """Return the nodes of one engine, which both versions write alike."""
    if multinode is None:
        return 1
    # Upstream's default for a component that says multinode without a number.
    return Reader(multinode, path).number("nodeCount") or 2


def _size(value: object) -> str | None:
    return None if value is None else str(value)


def _enabled(adapter: object, path: str) -> bool:
    if adapter is None:
        return False
    return Reader(adapter, path).take("enabled") is not False


def _check_cache(component: Reader) -> None:
    cache = component.take("compilationCache")
    if cache is None:
        return
    reader = Reader(cache, component.path("compilationCache"))
    reader.text("mountPath")
    if not reader.text("pvcName"):
        raise CodecError(reader.path("pvcName"), None, "the name of a PersistentVolumeClaim")


def encode(graph: Graph) -> dict[str, Any]:
    """Write a DynamoGraphDeployment."""
    spec: dict[str, Any] = {}
    set_(
        spec,
        backendFramework=graph.backend,
        env=plain(graph.env),
        labels=dict(graph.pod_labels),
        annotations=dict(graph.pod_annotations),
        **graph.extra.get("spec", {}),
    )
    spec["components"] = [write_component(component) for component in graph.components]
    return wrapped(graph, API_VERSION, spec)


def write_component(component: Component) -> dict[str, Any]:
    """Write one component."""
    entry: dict[str, Any] = {"name": component.name}
    if component.role is not Role.NONE:
        entry["type"] = component.role.value
    extra = dict(component.extra)
    adapter = extra.pop("scalingAdapter", None)
    set_(
        entry,
        replicas=component.replicas,
        sharedMemorySize=component.shared_memory_size,
        multinode={"nodeCount": component.nodes} if component.nodes > 1 else None,
        podTemplate=pod_template(component),
        **extra,
    )
    if _enabled(adapter, "scalingAdapter") == component.scaling_adapter and adapter:
        entry["scalingAdapter"] = adapter
    elif component.scaling_adapter:
        entry["scalingAdapter"] = {}
    return entry
