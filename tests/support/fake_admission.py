"""What the API server refuses, prunes and fills in before it stores an object.

Custom kinds go by our own CRDs: types, required and unknown fields, enums, patterns, bounds. Of
their CEL rules only the lock of a request's spec is here; `tests/integration/test_admission.py` has
them all. Native kinds go by the few rules and defaults that our passes meet.
"""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from dgdr_kube.errors import Rejected
from dgdr_kube.kinds import CONFIG_MAP, DEPLOYMENT, DGDR, JOB, ROLE_BINDING, SERVICE, Kind
from dgdr_kube.ports import Manifest

CRDS = Path(__file__).resolve().parents[2] / "crds"
MOST_BYTES = 3 * 2**20
"""Of a request; the API server answers more with 413."""
MOST_DATA_BYTES = 2**20
"""Of a ConfigMap."""

_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_DNS_1035 = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LOCKED = ("Profiling", "Deploying", "Ready", "Deployed")
_IMMUTABLE = {
    DEPLOYMENT: (("spec", "selector"),),
    JOB: (("spec", "template"), ("spec", "podFailurePolicy"), ("spec", "podReplacementPolicy")),
    ROLE_BINDING: (("roleRef",),),
}


def admitted(kind: Kind, new: Manifest, old: Manifest | None) -> Manifest:
    """Return an object as it is stored; raises Rejected with the server's status.

    ``old`` is what is there; None: the object is created.
    """
    if (path := next(_misshapen(new), None)) is not None:
        raise Rejected(422, f"failed to create typed patch object ({kind.kind}): {path}")
    problems = [*_names(kind, new), *_owners(new), *_sizes(kind, new), *_changes(kind, new, old)]
    schema = schemas().get(kind)
    if schema is not None:
        parts = _changed(schema, new, old or {})
        new = {**new, **{key: pruned(schema["properties"][key], new[key]) for key in parts}}
        problems += _new_breaches(schema, parts, new, old or {})
    if problems:
        name = new["metadata"]["name"]
        raise Rejected(422, f'{kind.kind} "{name}" is invalid: {"; ".join(problems)}')
    return defaulted(kind, new)


_NAMED = ("containers", "initContainers", "volumes", "env", "imagePullSecrets", "resourceClaims")
_OBJECTS = ("resources", "securityContext", "lifecycle", "affinity", "dnsConfig", "valueFrom")
_LISTS = ("ports", "tolerations", "volumeMounts", "envFrom", "topologySpreadConstraints")


def _misshapen(manifest: Manifest) -> Iterator[str]:
    """Return where a pod template has other types than Kubernetes gives it, the commonest ones."""
    template = (manifest.get("spec") or {}).get("template")
    if template is not None:
        yield from _misshapen_below(template, ".spec.template")


def _misshapen_below(value: Any, path: str) -> Iterator[str]:
    for key, child in value.items():
        where = f"{path}.{key}"
        if key in (*_NAMED, *_LISTS):
            if not isinstance(child, list | None):
                yield f"{where}: expected list, got {child!r}"
                continue
            for index, one in enumerate(child or ()):
                if not isinstance(one, dict):
                    yield f"{where}: element {index}: may not have non-map elements"
                elif key in _NAMED and not isinstance(one.get("name", ""), str):
                    yield f"{where}: element {index}: key field 'name' is no string"
                else:
                    yield from _misshapen_below(one, f"{where}[{index}]")
        elif key in (*_OBJECTS, *_PROBES) and not isinstance(child, dict | None):
            yield f"{where}: expected map, got {child!r}"
        elif isinstance(child, dict):
            yield from _misshapen_below(child, where)


def _changed(schema: Manifest, new: Manifest, old: Manifest) -> list[str]:
    known = schema["properties"].keys() - {"metadata", "apiVersion", "kind"}
    return [key for key in sorted(known & new.keys()) if new[key] != old.get(key)]


def _new_breaches(
    schema: Manifest, parts: Sequence[str], new: Manifest, old: Manifest
) -> Iterator[str]:
    """Return what is wrong; what was stored under another CRD may stay as it is."""
    for missing in {*schema.get("required", ())} - new.keys():
        yield f".{missing}: Required value"
    for key in parts:
        inner = schema["properties"][key]
        known = {*breaches(inner, old[key], f".{key}")} if key in old else set()
        yield from (one for one in breaches(inner, new[key], f".{key}") if one not in known)


@cache
def schemas() -> dict[Kind, Manifest]:
    """Return the schema of each version of our kinds."""
    found: dict[Kind, Manifest] = {}
    for path in sorted(CRDS.glob("*.yaml")):
        crd = yaml.safe_load(path.read_text())
        spec, names = crd["spec"], crd["spec"]["names"]
        for version in spec["versions"]:
            kind = Kind(spec["group"], version["name"], names["plural"], names["kind"])
            found[kind] = version["schema"]["openAPIV3Schema"]
    return found


# -- what is refused


def _names(kind: Kind, manifest: Manifest) -> Iterator[str]:
    name, labels = manifest["metadata"]["name"], manifest["metadata"].get("labels") or {}
    if kind == SERVICE and not _DNS_1035.fullmatch(name):
        yield f'metadata.name: Invalid value: "{name}": a DNS-1035 label'
    if len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        yield f'metadata.name: Invalid value: "{name}": a lowercase RFC 1123 subdomain'
    for value in labels.values():
        if len(value) > 63 or not _LABEL.fullmatch(value):
            yield f'metadata.labels: Invalid value: "{value}": must be no more than 63 characters'


def _owners(manifest: Manifest) -> Iterator[str]:
    owners = manifest["metadata"].get("ownerReferences") or ()
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        yield "metadata.ownerReferences: Only one reference can have Controller set to true"


def _sizes(kind: Kind, manifest: Manifest) -> Iterator[str]:
    if kind != CONFIG_MAP:
        return
    parts = (manifest.get("data") or {}, manifest.get("binaryData") or {})
    if sum(len(text.encode()) for part in parts for text in part.values()) > MOST_DATA_BYTES:
        yield f"[]: Too long: may not be more than {MOST_DATA_BYTES} bytes"


def _changes(kind: Kind, new: Manifest, old: Manifest | None) -> Iterator[str]:
    if old is None:
        return
    for path in _IMMUTABLE.get(kind, ()):
        if _at(old, path) != _at(new, path):
            yield f"{'.'.join(path)}: Invalid value: field is immutable"
    if kind == DGDR and _is_locked(old.get("status") or {}, old["spec"], new["spec"]):
        yield "spec: Invalid value: spec is immutable once profiling starts"


def _is_locked(status: Manifest, old: Manifest, new: Manifest) -> bool:
    if status.get("phase") not in _LOCKED or old == new:
        return False
    flips = old.get("autoApply") is False and new.get("autoApply") is True
    only = {**old, "autoApply": None} == {**new, "autoApply": None}
    return not (status["phase"] == "Ready" and flips and only)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = (value or {}).get(part)
    return value


def check_size(manifest: Manifest) -> None:
    """Raise what the server answers to a body that is too large to be read."""
    if len(json.dumps(manifest)) > MOST_BYTES:
        raise Rejected(413, f"Request entity too large: limit is {MOST_BYTES}")


# -- structural schemas

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,),
    "integer": (int,), "number": (int, float),
}  # fmt: skip


def pruned(schema: Manifest, value: Any) -> Any:
    """Return a value without the fields that the schema does not know."""
    if isinstance(value, dict):
        known, others = schema.get("properties") or {}, schema.get("additionalProperties")
        kept = schema.get("x-kubernetes-preserve-unknown-fields") or others is True
        out = {}
        for key, child in value.items():
            if key in known:
                out[key] = pruned(known[key], child)
            elif isinstance(others, dict):
                out[key] = pruned(others, child)
            elif kept or schema.get("x-kubernetes-embedded-resource"):
                out[key] = child
        return out
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        return [pruned(schema["items"], child) for child in value]
    return value


def breaches(schema: Manifest, value: Any, path: str) -> Iterator[str]:
    if value is None:
        if not schema.get("nullable"):
            yield f"{path}: Invalid value: null"
        return
    if not _is_of_type(schema, value):
        yield f"{path}: Invalid value: {value!r}: must be of type {schema.get('type')}"
        return
    yield from _out_of_bounds(schema, value, path)
    if isinstance(value, dict):
        known, others = schema.get("properties") or {}, schema.get("additionalProperties")
        for missing in {*schema.get("required", ())} - value.keys():
            yield f"{path}.{missing}: Required value"
        for key, child in value.items():
            inner = known.get(key) or (others if isinstance(others, dict) else None)
            if inner is not None:
                yield from breaches(inner, child, f"{path}.{key}")
    elif isinstance(value, list) and isinstance(schema.get("items"), dict):
        for number, child in enumerate(value):
            yield from breaches(schema["items"], child, f"{path}[{number}]")


def _is_of_type(schema: Manifest, value: Any) -> bool:
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    wanted = schema.get("type")
    if wanted is None:
        return True
    return isinstance(value, _TYPES[wanted]) and (wanted == "boolean") >= isinstance(value, bool)


def _out_of_bounds(schema: Manifest, value: Any, path: str) -> Iterator[str]:
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: Unsupported value: {value!r}"
    if isinstance(value, str):
        if "pattern" in schema and not re.search(schema["pattern"], value):
            yield f"{path}: Invalid value: {value!r}: should match {schema['pattern']!r}"
        yield from _length(schema, len(value), ("minLength", "maxLength"), path)
    elif isinstance(value, list):
        yield from _length(schema, len(value), ("minItems", "maxItems"), path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and (value < low or (schema.get("exclusiveMinimum") and value == low)):
            yield f"{path}: Invalid value: {value}: should be at least {low}"
        if high is not None and value > high:
            yield f"{path}: Invalid value: {value}: should be at most {high}"


def _length(schema: Manifest, size: int, bounds: tuple[str, str], path: str) -> Iterator[str]:
    fewest, most = (schema.get(bound) for bound in bounds)
    if (fewest is not None and size < fewest) or (most is not None and size > most):
        yield f"{path}: Invalid value: has {size}, of {fewest} to {most}"


# -- what is filled in

_PROBE = {
    "timeoutSeconds": 1, "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3,
}  # fmt: skip
_CONTAINER: Manifest = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
    "imagePullPolicy": "IfNotPresent",
}
_POD: Manifest = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
}
_SPECS: dict[Kind, Manifest] = {
    DEPLOYMENT: {
        "replicas": 1,
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
        },
    },
    JOB: {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    },
    SERVICE: {
        "type": "ClusterIP",
        "sessionAffinity": "None",
        "clusterIP": "10.0.0.1",
        "ipFamilyPolicy": "SingleStack",
        "internalTrafficPolicy": "Cluster",
    },
}


def defaulted(kind: Kind, manifest: Manifest) -> Manifest:
    """Return a native object with what the server fills in; nobody owns those fields."""
    if kind not in _SPECS:
        return manifest
    spec = {**_SPECS[kind], **(manifest.get("spec") or {})}
    if kind == SERVICE:
        spec["ports"] = [
            {"protocol": "TCP", "targetPort": port["port"], **port} for port in spec["ports"]
        ]
    template = spec.get("template")
    if template is not None:
        spec["template"] = {**template, "spec": _pod(template.get("spec") or {})}
    return {**manifest, "spec": spec}


def _pod(spec: Manifest) -> Manifest:
    out = {**_POD, **spec, "containers": [_container(one) for one in spec["containers"]]}
    if out.get("initContainers"):
        out["initContainers"] = [_container(one) for one in out["initContainers"]]
    if "serviceAccountName" in out:
        out["serviceAccount"] = out["serviceAccountName"]
    return out


def _container(container: Manifest) -> Manifest:
    out = {**_CONTAINER, **container}
    for probe in _PROBES:
        if probe in out:
            out[probe] = {**_PROBE, **out[probe]}
    if "ports" in out:
        out["ports"] = [{"protocol": "TCP", **port} for port in out["ports"]]
    return out
