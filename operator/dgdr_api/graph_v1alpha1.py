"""A v1alpha1 manifest as a Graph, and a Graph as one: what both versions can say, and no more."""

from collections.abc import Mapping
from typing import Any

from dgdr_api.envelope import opened, read_identity, wrapped
from dgdr_api.graph import Component, Graph, Json
from dgdr_api.reading import CodecError, Reader, plain, set_
from dgdr_api.roles_v1alpha1 import roles_of
from dgdr_api.service_v1alpha1 import read_service, write_service

API_VERSION = "nvidia.com/v1alpha1"
CLAIMS = "pvcs"

# Fields of the spec that both versions have and nothing here reads.
_SAME = ("priorityClassName", "restart", "experimental", "providerOverride")
_TOPOLOGY = "topologyConstraint"
# A topology's name in v1alpha1 and in v1beta1.
_PROFILE, _CLUSTER = "topologyProfile", "clusterTopologyName"


def read_graph(manifest: Json) -> tuple[Graph, tuple[str, ...]]:
    """Return the graph of a manifest, and the paths of the fields that it has no place for.

    Raises:
        CodecError: a field cannot be read; the error names it.
    """
    metadata, spec = opened(manifest, API_VERSION)
    components, left = _read_services(spec.inner("services"))
    # A mount names its claim; all else in this list is about making one.
    spec.objects(CLAIMS)
    graph = Graph(
        **read_identity(metadata),
        backend=spec.text("backendFramework"),
        env=spec.objects("envs"),
        pod_labels=spec.strings("labels"),
        pod_annotations=spec.strings("annotations"),
        components=components,
    )
    extra: dict[str, Any] = {}
    set_(extra, metadata=metadata.rest(), spec=_read_extra(spec))
    return graph.with_(extra=extra), (*(f"spec.{key}" for key in spec.rest()), *left)


def _read_services(services: Reader) -> tuple[tuple[Component, ...], list[str]]:
    found = {
        name: _service(name, service)
        for name, service in services.rest().items()
        if service is not None
    }
    _no_two_alike(found)
    roles = roles_of(found)
    components: list[Component] = []
    left: list[str] = []
    for name, service in found.items():
        path = f"spec.services.{name}"
        component, rest = read_service(name, roles[name], service, path)
        components.append(component)
        left += rest
    return tuple(components), left


def _service(name: Any, service: Any) -> Json:
    if not isinstance(name, str) or not name:
        raise CodecError("spec.services", name, "the name of a service; quote numbers")
    return Reader(service, f"spec.services.{name}").rest()


def _no_two_alike(services: Mapping[str, Json]) -> None:
    seen: dict[str, str] = {}
    for name in services:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            wanted = f"a name that differs from {other!r} in more than upper and lower case"
            raise CodecError("spec.services", name, wanted)


def _read_extra(spec: Reader) -> dict[str, Any]:
    found: dict[str, Any] = {}
    set_(found, **{key: spec.take(key) for key in _SAME})
    set_(found, **{_TOPOLOGY: _renamed(spec.inner(_TOPOLOGY).rest(), _PROFILE, _CLUSTER)})
    return found


def write_graph(graph: Graph) -> dict[str, Any]:
    """Write a graph, as far as v1alpha1 can say it."""
    services = {component.name: write_service(component) for component in graph.components}
    extra = graph.extra.get("spec", {})
    spec: dict[str, Any] = {}
    set_(
        spec,
        backendFramework=graph.backend,
        envs=plain(graph.env),
        labels=dict(graph.pod_labels),
        annotations=dict(graph.pod_annotations),
        pvcs=claims_of(services),
        **{key: extra.get(key) for key in _SAME},
        **{_TOPOLOGY: _renamed(extra.get(_TOPOLOGY), _CLUSTER, _PROFILE)},
    )
    spec["services"] = services
    return wrapped(graph, API_VERSION, spec)


def claims_of(services: Mapping[str, Json]) -> list[Json]:
    """Return the claims that services mount: claims of others, which must be there already."""
    mounts = [mount for service in services.values() for mount in service.get("volumeMounts", [])]
    names = dict.fromkeys(mount["name"] for mount in mounts)
    return [{"name": name, "create": False} for name in names]


def _renamed(value: Any, old: str, new: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    return {new if key == old else key: entry for key, entry in value.items()}
