"""What is wrong with a request's override of the generated deployment, as far as it says itself.

Its components are matched when they are merged.
"""

from collections.abc import Iterator, Mapping

from dgdr_api import codec_v1beta1, graph_v1alpha1
from dgdr_api.graph import Json
from dgdr_api.problem import Problem
from dgdr_api.reading import CodecError

_FRAME = {"kind": "DynamoGraphDeployment", "metadata": {"name": "override"}}
_DGD_VERSIONS = ("nvidia.com/v1beta1", "nvidia.com/v1alpha1")


def name_in_override(override: Json | None) -> str | None:
    """Return the name that a DGD override gives; None where it gives none, or nonsense."""
    metadata = (override or {}).get("metadata")
    name = metadata.get("name") if isinstance(metadata, Mapping) else None
    return name if isinstance(name, str) and name else None


def override_problems(override: Json | None) -> Iterator[Problem]:
    """Check the frame of a DGD override, and whether its spec can be read."""
    if override is None:
        return
    version, kind = override.get("apiVersion"), override.get("kind")
    if version not in _DGD_VERSIONS:
        yield Problem(
            "spec.overrides.dgd.apiVersion", version, f"use one of {', '.join(_DGD_VERSIONS)}"
        )
    if kind != "DynamoGraphDeployment":
        yield Problem("spec.overrides.dgd.kind", kind, "use DynamoGraphDeployment")
    if "status" in override:
        yield Problem("spec.overrides.dgd.status", {}, "status cannot be overridden; remove it")
    yield from _metadata(override.get("metadata"))
    nulls = tuple(_nulls(override, "spec.overrides.dgd"))
    for path in nulls:
        yield Problem(path, "null", "null removes nothing here; leave the field out")
    if version in _DGD_VERSIONS and not nulls:
        own = override.get("spec")
        if isinstance(own, Mapping):
            # The profiler takes them from here, where neither version has a place for them.
            own = {key: one for key, one in own.items() if key != "imagePullSecrets"}
        yield from _unreadable({**_FRAME, "apiVersion": version, "spec": own})


def _unreadable(partial: Json) -> Iterator[Problem]:
    """Say what of an override's spec nobody could merge, which else the Job would find out."""
    try:
        if partial["apiVersion"] == codec_v1beta1.API_VERSION:
            codec_v1beta1.decode(partial)
            return
        _, unplaced = graph_v1alpha1.read_graph(partial)
    except CodecError as exc:
        yield Problem(f"spec.overrides.dgd.{exc.field}", exc.value, f"must be {exc.wanted}")
        return
    for field in unplaced:
        yield Problem(
            f"spec.overrides.dgd.{field}",
            None,
            "has no place in a generated deployment; remove it, or write the override as "
            f"{codec_v1beta1.API_VERSION}",
            "Forbidden",
        )


def _metadata(metadata: object) -> Iterator[Problem]:
    path = "spec.overrides.dgd.metadata"
    if metadata is None:
        return
    if not isinstance(metadata, Mapping):
        yield Problem(path, metadata, "use an object, such as {name: my-deployment}")
    elif not isinstance(metadata.get("name", ""), str | None):
        yield Problem(f"{path}.name", metadata["name"], "use a string; quote numbers")


def _nulls(value: object, path: str) -> Iterator[str]:
    if value is None:
        yield path
    elif isinstance(value, Mapping):
        for key, child in value.items():
            yield from _nulls(child, f"{path}.{key}")
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _nulls(child, f"{path}[{index}]")
