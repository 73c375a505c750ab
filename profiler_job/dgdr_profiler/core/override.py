"""Merging a user's partial DGD over a generated one."""

from collections.abc import Mapping, Sequence
from typing import Any

from dgdr_api.codec_v1beta1 import API_VERSION, decode, encode
from dgdr_api.graph import Graph, Json
from dgdr_api.reading import CodecError
from dgdr_profiler.core.errors import InvalidRequest

FIELD = "spec.overrides.dgd"
# A list of these is merged entry by entry, as Kubernetes' own strategic merge does.
_MERGE_KEY = "name"
# Generated flags stay: an engine without its parallelism or its role would not be this one.
_APPENDED = frozenset({"args"})


def override(graph: Graph, partial: Json | None) -> Graph:
    """Return the graph with ``partial`` merged over it; its name stays.

    Objects merge by key, lists of named entries by name, ``args`` are appended, and every other
    value is replaced.

    Raises:
        InvalidRequest: the override has another version, or makes no readable graph.
    """
    if partial is None:
        return graph
    if partial.get("apiVersion") != API_VERSION:
        raise InvalidRequest(
            f"{FIELD}.apiVersion: {partial.get('apiVersion')} cannot be merged yet; write the "
            f"override as {API_VERSION}"
        )
    spec = partial.get("spec") or {}
    _check_components(graph, spec)
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


def _metadata(partial: Json) -> Mapping[str, Any]:
    metadata = partial.get("metadata") or {}
    return {k: v for k, v in metadata.items() if k in ("labels", "annotations")}


def _check_components(graph: Graph, spec: Json) -> None:
    """Reject a component that merges with nothing: a misspelt name would start a pod of its own."""
    for entry in spec.get("components") or []:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if graph.component(str(name)) is None:
            raise InvalidRequest(
                f"{FIELD}.spec.components: {name!r} is none of the generated components "
                f"{', '.join(c.name for c in graph.components)}"
            )


def _merge(base: Any, change: Any, key: str = "") -> Any:
    if isinstance(base, Mapping) and isinstance(change, Mapping):
        both = {**base, **change}
        return {
            k: _merge(base[k], change[k], k) if k in base and k in change else v
            for k, v in both.items()
        }
    if isinstance(base, list) and isinstance(change, list):
        return _merge_lists(base, change, key)
    return change


def _merge_lists(base: list[Any], change: list[Any], key: str) -> list[Any]:
    if key in _APPENDED:
        return [*base, *change]
    if not (_named(base) and _named(change)):
        return change
    changes = {_fold(entry): entry for entry in change}
    kept = [_merge(entry, changes.pop(_fold(entry), {})) for entry in base]
    return [*kept, *changes.values()]


def _named(entries: Sequence[Any]) -> bool:
    return all(isinstance(entry, Mapping) and _MERGE_KEY in entry for entry in entries)


def _fold(entry: Mapping[str, Any]) -> str:
    """Dynamo's component names do not differ by case."""
    return str(entry[_MERGE_KEY]).lower()
