"""Objects as the API server takes them: without what their own version's schema refuses."""

from typing import Any

from dgdr_kube.kinds import DGD, DGDR, DGDSA, Kind
from support.fake_admission import breaches, pruned, schemas

KINDS = {kind.kind: kind for kind in (DGDR, DGD, DGDSA)}


def of_version(kind: str, api_version: str) -> Kind:
    """Return a kind in a version, which may be one that no program asks for."""
    known = KINDS[kind]
    return Kind(known.group, api_version.rpartition("/")[2], known.plural, kind)


def schema(kind: str, version: str) -> dict[str, Any]:
    found: dict[str, Any] = schemas()[of_version(kind, version)]
    return found


def kept(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return what the API server keeps of an object."""
    of = schema(manifest["kind"], manifest["apiVersion"].rpartition("/")[2])["properties"]
    parts = {key: pruned(of[key], manifest[key]) for key in ("spec", "status") if key in manifest}
    return {**manifest, **parts}


def accepted(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return an object without what its own version's schema refuses or prunes."""
    of = schema(manifest["kind"], manifest["apiVersion"].rpartition("/")[2])["properties"]
    parts = {key: allowed(of[key], manifest[key]) for key in ("spec", "status") if key in manifest}
    return kept({**manifest, **parts})


def allowed(of: dict[str, Any], value: Any) -> Any:
    if isinstance(value, list):
        inner = of.get("items") or {}
        return [one for one in (allowed(inner, one) for one in value) if is_allowed(inner, one)]
    if not isinstance(value, dict):
        return value
    known, others = of.get("properties") or {}, of.get("additionalProperties") or {}
    inner = {key: known.get(key, others if isinstance(others, dict) else {}) for key in value}
    fields = {key: allowed(inner[key], one) for key, one in value.items()}
    return {key: one for key, one in fields.items() if is_allowed(inner[key], one)}


def is_allowed(of: dict[str, Any], value: Any) -> bool:
    return not of or not [*breaches({**of, "required": []}, value, "")]
