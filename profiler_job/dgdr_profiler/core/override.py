"""Merging a user's partial DGD over a generated one, in either version of the DGD."""

from collections.abc import Mapping, Sequence
from typing import Any

from dgdr_api import graph_v1alpha1
from dgdr_api.codec_v1beta1 import API_VERSION, decode, encode
from dgdr_api.envelope import KIND
from dgdr_api.graph import Component, Graph, Json
from dgdr_api.reading import CodecError, name_of
from dgdr_profiler.core.errors import InvalidRequest

FIELD = "spec.overrides.dgd"

_PULL_SECRETS = "imagePullSecrets"
# A list of these is merged entry by entry, as Kubernetes' own strategic merge does.
_MERGE_KEY = "name"
# Components of the shapes that are generated; a deployment has some of them.
_GENERATED = ("frontend", "prefill", "decode", "worker")
# What upstream's earlier templates called them.
_OLD_NAMES = {
    **dict.fromkeys(("vllmprefillworker", "sglangprefillworker", "trtllmprefillworker"), "prefill"),
    **dict.fromkeys(("vllmdecodeworker", "sglangdecodeworker", "trtllmdecodeworker"), "decode"),
    **dict.fromkeys(("vllmworker", "sglangworker", "trtllmworker"), "worker"),
}


def override(graph: Graph, partial: Json | None) -> Graph:
    """Return the graph with ``partial`` merged over it; its name stays.

    Objects merge by key, lists of named entries by name, and every other value is replaced, also
    ``args``. Written as v1alpha1, a worker's ``args`` are appended. Both is upstream's way. What is
    said of a component of another shape has no effect on this graph. ``spec.imagePullSecrets`` are
    for the pods of all components.

    Raises:
        InvalidRequest: the override makes no readable graph, or names what is never generated.
    """
    if partial is None:
        return graph
    secrets, partial = _pull_secrets(partial)
    spec = _known(graph, _spec(graph, partial))
    merged = _merge(encode(graph), {"spec": spec, "metadata": _metadata(partial)})
    try:
        return _pulled_with(secrets, decode(merged))
    except CodecError as exc:
        raise InvalidRequest(f"{FIELD}: {exc}") from exc


def override_name(partial: Json | None) -> str | None:
    """Return the name that an override gives to the generated DGD."""
    metadata = (partial or {}).get("metadata") or {}
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return str(name) if name else None


def generated_name(name: str) -> str:
    """Return the generated component that is meant by a name, old or of another case."""
    folded = name.lower()
    return _OLD_NAMES.get(folded, folded)


def _pull_secrets(partial: Json) -> tuple[list[Json], Json]:
    """Return the override's pull secrets, and the override without them.

    A scenario of upstream's profiler (1.6.1) has them beside the components. Neither version of its
    DynamoGraphDeploymentSpec has such a field, so its API server drops them.
    """
    spec = partial.get("spec") or {}
    secrets = spec.get(_PULL_SECRETS) or []
    if not (isinstance(secrets, list) and _named(secrets)):
        raise InvalidRequest(
            f"{FIELD}.spec.{_PULL_SECRETS}: {secrets!r} is no list of names of Secrets"
        )
    return secrets, {**partial, "spec": {k: v for k, v in spec.items() if k != _PULL_SECRETS}}


def _pulled_with(secrets: list[Json], graph: Graph) -> Graph:
    if not secrets:
        return graph
    components = (
        c.with_(pod={**c.pod, _PULL_SECRETS: _merge_lists(secrets, c.pod.get(_PULL_SECRETS) or [])})
        for c in graph.components
    )
    return graph.with_(components=tuple(components))


def _spec(graph: Graph, partial: Json) -> Json:
    """Return the override's spec as v1beta1 writes it."""
    version, spec = partial.get("apiVersion"), partial.get("spec") or {}
    if version == API_VERSION:
        return spec
    if version == graph_v1alpha1.API_VERSION:
        return _from_v1alpha1(graph, spec)
    raise InvalidRequest(
        f"{FIELD}.apiVersion: {version} is none of {API_VERSION}, {graph_v1alpha1.API_VERSION}"
    )


def _from_v1alpha1(graph: Graph, spec: Json) -> Json:
    """Return the spec of a v1alpha1 override as v1beta1 writes it.

    A field that v1beta1 does not have is refused: lost without a word, it would look applied.
    """
    manifest = {"apiVersion": graph_v1alpha1.API_VERSION, "kind": KIND, "spec": spec}
    try:
        partial, unplaced = graph_v1alpha1.read_graph(manifest)
    except CodecError as exc:
        raise InvalidRequest(f"{FIELD}.{exc}") from exc
    if unplaced:
        raise InvalidRequest(
            f"{FIELD}.{unplaced[0]}: has no place in a generated deployment; remove it, or write "
            f"the override as {API_VERSION}"
        )
    components = tuple(_beside(graph, component) for component in partial.components)
    found = encode(partial.with_(components=components, backend=None))["spec"]
    # The generated component knows its type.
    typeless = [{k: v for k, v in c.items() if k != "type"} for c in found["components"]]
    return {**found, "components": typeless}


def _beside(graph: Graph, component: Component) -> Component:
    """Return what is said of a component, beside what the generated one has already.

    An engine's arguments are appended; a volume that is mounted by its name alone stays what it is.
    """
    base = graph.component(generated_name(component.name))
    if base is None:
        return component
    has = {name_of(volume) for volume in base.volumes}
    volumes = tuple(v for v in component.volumes if name_of(v) not in has or not _is_claim(v))
    args = component.args
    if args and base.role.serves_model:
        args = (*base.args, *args)
    return component.with_(args=args, volumes=volumes)


def _is_claim(volume: Json) -> bool:
    """Whether a volume is what v1alpha1 takes a mounted name for."""
    name = name_of(volume)
    return volume == {"name": name, "persistentVolumeClaim": {"claimName": name}}


def _metadata(partial: Json) -> Mapping[str, Any]:
    metadata = partial.get("metadata") or {}
    return {k: v for k, v in metadata.items() if k in ("labels", "annotations")}


def _known(graph: Graph, spec: Json) -> Json:
    """Return the spec with the components of this graph only.

    A name that is never generated is refused: misspelt, it would have no effect, and nobody knew.
    """
    if "components" not in spec:
        return spec
    entries = [_named_as_generated(entry) for entry in spec["components"] or []]
    kept = [entry for entry in entries if graph.component(entry[_MERGE_KEY]) is not None]
    return {**spec, "components": kept}


def _named_as_generated(entry: Any) -> Json:
    name = entry.get(_MERGE_KEY) if isinstance(entry, Mapping) else None
    meant = generated_name(str(name))
    if meant not in _GENERATED:
        raise InvalidRequest(
            f"{FIELD}.spec.components: {name!r} is none of the generated components "
            f"{', '.join(_GENERATED)}"
        )
    return {**entry, _MERGE_KEY: meant}


def _merge(base: Any, change: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(change, Mapping):
        both = {**base, **change}
        return {
            k: _merge(base[k], change[k]) if k in base and k in change else v
            for k, v in both.items()
        }
    if isinstance(base, list) and isinstance(change, list):
        return _merge_lists(base, change)
    return change


def _merge_lists(base: list[Any], change: list[Any]) -> list[Any]:
    if not (_named(base) and _named(change)):
        return change
    changes = {entry[_MERGE_KEY]: entry for entry in change}
    kept = [_merge(entry, changes.pop(entry[_MERGE_KEY], {})) for entry in base]
    return [*kept, *changes.values()]


def _named(entries: Sequence[Any]) -> bool:
    return all(isinstance(entry, Mapping) and _MERGE_KEY in entry for entry in entries)
