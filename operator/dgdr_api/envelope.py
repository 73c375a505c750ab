"""What DynamoGraphDeployments of all versions have around their spec."""

from typing import Any

from dgdr_api.graph import Graph, Json
from dgdr_api.reading import CodecError, Reader, set_

KIND = "DynamoGraphDeployment"

# Written by the API server; in an applied object they would be a conflict or an error.
SERVER_FIELDS = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
)


def opened(manifest: Json, api_version: str) -> tuple[Reader, Reader]:
    """Return the metadata, less what the server wrote, and the spec.

    Raises:
        CodecError: the manifest is of another kind or version.
    """
    reader = Reader(manifest, "")
    found = (reader.take("apiVersion"), reader.take("kind"))
    if found != (api_version, KIND):
        raise CodecError("apiVersion, kind", f"{found[0]} {found[1]}", f"{api_version} {KIND}")
    metadata = reader.inner("metadata")
    for key in SERVER_FIELDS:
        metadata.take(key)
    return metadata, reader.inner("spec")


def read_identity(metadata: Reader) -> dict[str, Any]:
    """Return the fields of a Graph that the metadata holds."""
    return {
        "name": metadata.text("name") or "",
        "namespace": metadata.text("namespace"),
        "labels": metadata.strings("labels"),
        "annotations": metadata.strings("annotations"),
    }


def wrapped(graph: Graph, api_version: str, spec: Json) -> dict[str, Any]:
    """Return the manifest of a graph around its spec."""
    metadata: dict[str, Any] = {"name": graph.name}
    set_(
        metadata,
        namespace=graph.namespace,
        labels=dict(graph.labels),
        annotations=dict(graph.annotations),
        **graph.extra.get("metadata", {}),
    )
    return {"apiVersion": api_version, "kind": KIND, "metadata": metadata, "spec": spec}
