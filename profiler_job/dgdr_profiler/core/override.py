"""Merging a user's partial DGD over a generated one, in either version of the DGD."""

from collections.abc import Mapping, Sequence
from typing import Any

from dgdr_api.codec_v1beta1 import API_VERSION, decode, encode
from dgdr_api.graph import Graph, Json
from dgdr_api.reading import CodecError
from dgdr_profiler.core.errors import InvalidRequest
from dgdr_profiler.core.override_v1alpha1 import API_VERSION as API_VERSION_V1ALPHA1
from dgdr_profiler.core.override_v1alpha1 import FIELD, translated

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
    said of a component of another shape has no effect on this graph.

    Raises:
        InvalidRequest: the override makes no readable graph, or names what is never generated.
    """
    if partial is None:
        return graph
    spec = _known(graph, _spec(graph, partial))
    merged = _merge(encode(graph), {"spec": spec, "metadata": _metadata(partial)})
    try:
        return decode(merged)
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


def _spec(graph: Graph, partial: Json) -> Json:
    """Return the override's spec as v1beta1 writes it."""
    version, spec = partial.get("apiVersion"), partial.get("spec") or {}
    if version == API_VERSION:
        return spec
    if version == API_VERSION_V1ALPHA1:
        args = {c.name: c.args for c in graph.components if c.role.serves_model}
        return translated(spec, {name: args.get(generated_name(name), ()) for name in _names(spec)})
    raise InvalidRequest(
        f"{FIELD}.apiVersion: {version} is none of {API_VERSION}, {API_VERSION_V1ALPHA1}"
    )


def _names(spec: Json) -> Sequence[str]:
    services = spec.get("services") or {}
    return tuple(services) if isinstance(services, Mapping) else ()


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
