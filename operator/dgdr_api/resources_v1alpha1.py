"""Resources of a v1alpha1 service, and the same as Kubernetes writes them."""

from collections.abc import Mapping
from typing import Any

from dgdr_api.graph import Json
from dgdr_api.pods import GPU, whole_gpus
from dgdr_api.reading import Reader, set_

# Kinds of amounts, and the amounts that v1alpha1 has a field for.
_KINDS = ("limits", "requests")
_FIELDS = {GPU: "gpu", "cpu": "cpu", "memory": "memory"}


def read_resources(resources: Reader) -> dict[str, Any]:
    """Return the resources of a container.

    Amounts under names of Kubernetes' own are taken as what they say, though upstream drops them.

    Raises:
        CodecError: a part is no object.
    """
    found: dict[str, Any] = {}
    set_(found, **{kind: _read_amounts(resources.inner(kind)) for kind in _KINDS})
    set_(found, claims=list(resources.objects("claims")))
    return found


def _read_amounts(amounts: Reader) -> dict[str, Any]:
    found = dict(amounts.inner("custom").rest())
    gpu_type, gpus = amounts.text("gpuType") or GPU, amounts.take("gpu")
    if gpus is not None:
        found[gpu_type] = gpus if gpu_type != GPU else _checked(gpus, amounts.path("gpu"))
    return {**amounts.rest(), **found}


def _checked(gpus: Any, path: str) -> Any:
    whole_gpus(gpus, path)
    return gpus


def merged_resources(below: Json, above: Reader) -> dict[str, Any]:
    """Return resources of a service with those of its main container over them, key by key."""
    kinds = {kind: {**below.get(kind, {}), **above.inner(kind).rest()} for kind in _KINDS}
    claims = [*below.get("claims", []), *above.objects("claims")]
    found: dict[str, Any] = {}
    set_(found, **kinds, claims=claims, **above.rest())
    return found


def write_resources(resources: Any) -> tuple[Any, Any]:
    """Return the resources of a service, and what only its main container can say."""
    if not isinstance(resources, Mapping):
        return None, resources
    said = {kind: resources[kind] for kind in _KINDS if isinstance(resources.get(kind), Mapping)}
    found: dict[str, Any] = {kind: _write_amounts(amounts) for kind, amounts in said.items()}
    set_(found, claims=resources.get("claims"))
    return found, {key: value for key, value in resources.items() if key not in found}


def _write_amounts(amounts: Json) -> dict[str, Any]:
    # The schema of v1alpha1 takes strings only.
    texts = {k: str(v) if isinstance(v, int | float) else v for k, v in amounts.items()}
    found = {field: texts.pop(key) for key, field in _FIELDS.items() if key in texts}
    return {**found, **({"custom": texts} if texts else {})}
