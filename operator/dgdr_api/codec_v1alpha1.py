"""DynamoGraphDeployment v1alpha1: manifest to Graph and back.

A Graph says what v1beta1 can say. What a v1alpha1 manifest says beyond that, or in other words,
goes with it in the annotation ``dgdr.dev/v1alpha1``, so that it survives in a v1beta1 manifest
too; and what only v1beta1 can say goes in a v1alpha1 manifest's ``dgdr.dev/v1beta1``. Neither is
written when there is nothing to say, and neither undoes what was edited since: it is put back
only where the other version does not see the difference.
"""

from collections.abc import Mapping
from typing import Any

from dgdr_api import codec_v1beta1, spelling
from dgdr_api.envelope import SERVER_FIELDS
from dgdr_api.graph import Graph, Json
from dgdr_api.graph_v1alpha1 import API_VERSION, CLAIMS, read_graph, write_graph
from dgdr_api.names import Annotation
from dgdr_api.reading import CodecError

__all__ = ["API_VERSION", "decode", "encode"]

_COMPONENTS = "components"
# What a v1alpha1 manifest has no use for: a Graph is what is wanted.
_STATE = ("status",)


def decode(manifest: Json) -> Graph:
    """Read a DynamoGraphDeployment.

    Raises:
        CodecError: a field cannot be read; the error names it.
    """
    read, _ = read_graph(manifest)
    graph, notes = _without_notes(read)
    own = _own(manifest, graph)
    if Annotation.V1BETA1 in notes:
        graph = _with_v1beta1(graph, _patch(notes, Annotation.V1BETA1), own)
    change = spelling.patch(_keyed(write_graph(graph)), _keyed(own))
    return graph.with_(annotations=_noted(graph, Annotation.V1ALPHA1, change))


def encode(graph: Graph) -> dict[str, Any]:
    """Write a DynamoGraphDeployment.

    Raises:
        CodecError: v1alpha1 has no form for it, such as two components of one name; or an
            annotation is not what ``decode`` wrote.
    """
    bare, notes = _without_notes(graph)
    manifest = write_graph(bare)
    if Annotation.V1ALPHA1 in notes:
        manifest = _respelled(manifest, _patch(notes, Annotation.V1ALPHA1))
    seen, _ = read_graph(manifest)
    change = spelling.patch(_beta(seen), _beta(bare))
    if annotations := _noted(bare, Annotation.V1BETA1, change):
        manifest["metadata"] = {**manifest["metadata"], "annotations": annotations}
    return manifest


def _without_notes(graph: Graph) -> tuple[Graph, Mapping[str, str]]:
    """Return the graph, and what the other version said, from its annotations."""
    kinds = (Annotation.V1ALPHA1, Annotation.V1BETA1)
    notes = {key: value for key, value in graph.annotations.items() if key in kinds}
    left = {key: value for key, value in graph.annotations.items() if key not in kinds}
    return graph.with_(annotations=left), notes


def _patch(notes: Mapping[str, str], kind: Annotation) -> Json:
    return spelling.read(notes[kind], f"metadata.annotations[{kind}]")


def _noted(graph: Graph, kind: Annotation, change: Json) -> dict[str, str]:
    return {**graph.annotations, **({kind.value: spelling.written(change)} if change else {})}


def _own(manifest: Json, graph: Graph) -> dict[str, Any]:
    """Return what the user wrote: no status, nothing of the server, none of our notes."""
    metadata = {k: v for k, v in (manifest.get("metadata") or {}).items() if k not in SERVER_FIELDS}
    own = {key: value for key, value in manifest.items() if key not in _STATE}
    return {**own, "metadata": {**metadata, "annotations": dict(graph.annotations)}}


def _keyed(manifest: Json) -> Json:
    return spelling.keyed(manifest, CLAIMS)


def _beta(graph: Graph) -> Json:
    return spelling.keyed(codec_v1beta1.encode(graph), _COMPONENTS)


def _of_beta(manifest: Json) -> Graph:
    return codec_v1beta1.decode(spelling.listed(manifest, _COMPONENTS))


def _respelled(manifest: Json, change: Json) -> dict[str, Any]:
    """Return the manifest in the user's words, where those still mean the same."""
    meaning = _meaning(manifest)

    def fits(candidate: Json) -> bool:
        try:
            return _meaning(spelling.listed(candidate, CLAIMS)) == meaning
        except CodecError:
            return False

    fitted = spelling.fitted(_keyed(manifest), change, fits)
    return dict(spelling.listed(fitted, CLAIMS))


def _meaning(manifest: Json) -> Json:
    """Return a manifest in our own words; 1 and "1" are one number then."""
    return write_graph(read_graph(manifest)[0])


def _with_v1beta1(graph: Graph, change: Json, own: Json) -> Graph:
    """Return the graph with what only v1beta1 says, where v1alpha1 does not say otherwise."""
    seen = write_graph(graph)

    def fits(candidate: Json) -> bool:
        try:
            written = write_graph(_of_beta(candidate))
        except CodecError:
            return False
        return not (spelling.patch(written, seen) and spelling.patch(written, own))

    return _of_beta(spelling.fitted(_beta(graph), change, fits))
