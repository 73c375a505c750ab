"""What the pods of a graph were made from, on record at their Deployments.

A pod template has two origins: what the deployment asks, and what this operator adds. Only the
first may replace pods that serve, so the second is kept as it was until then.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from dgdr_api.graph import Component, Graph
from dgdr_api.names import Annotation
from dgdr_api.pods import MAIN
from dgdr_kube.manifests import covers
from dgdr_operator.core.data_plane import DataPlane, Discovery
from dgdr_operator.core.workload import (
    KINDS,
    leading,
    template_of,
    with_template,
    workload_name,
)
from dgdr_operator.core.workloads import Workloads, fingerprint

Manifest = dict[str, Any]

# Rules, and what the cluster serves, are those of today, whatever they were when pods were made.
_NOT_ON_RECORD = frozenset({"pods", "groups"})
# They change how many pods there are and who decides it, never the pods.
_NOT_IN_TEMPLATES = frozenset({"replicas", "scalingAdapter"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """From what one Deployment's pods were made.

    ``plane`` is None where an operator that kept no record made it: ``template`` is then the live
    one, with what the API server added.
    """

    graph_hash: str
    template: Manifest
    plane: DataPlane | None = None


def graph_hash(dgd: Manifest) -> str:
    """Return what changes when the deployment asks for other pods.

    It is of the manifest as it is stored: every later operator has to come to the same, however it
    reads and renders, or its first start would replace all pods. A restart asks for new pods and
    not for other ones: they are made from what is on record, one component after the other.
    """
    spec = dgd.get("spec") or {}
    return _hash_of(dgd, {key: value for key, value in spec.items() if key != "restart"})


def _hash_of(dgd: Manifest, spec: Manifest) -> str:
    components = [
        {key: value for key, value in component.items() if key not in _NOT_IN_TEMPLATES}
        for component in spec.get("components") or ()
    ]
    annotations = dgd["metadata"].get("annotations") or {}
    metrics = annotations.get(Annotation.ENABLE_METRICS)
    return fingerprint({"spec": {**spec, "components": components}, "metrics": metrics})


def pins_of(
    dgd: Manifest, graph: Graph, workloads: Iterable[Manifest], was_seen: bool
) -> dict[str, Pin]:
    """Return the pins by workload; ``was_seen``: somebody has reconciled this very generation.

    One without a record is taken as it is, unless the graph was edited before anybody who
    keeps records saw it and the edit is not in there yet.
    """
    now, earlier = graph_hash(dgd), _hash_of(dgd, dgd.get("spec") or {})
    by_name = {workload_name(graph, c): c for c in graph.components}
    pins = {}
    for live in workloads:
        name = live["metadata"]["name"]
        template = template_of(live)
        component = by_name.get(name)
        if component is None:
            continue
        is_served = was_seen or _has_what_is_asked(template, graph, component)
        pin = _recorded(live) or Pin(graph_hash=now if is_served else "", template=template)
        # Operators before this one took the restart into the hash.
        pins[name] = replace(pin, graph_hash=now) if pin.graph_hash == earlier else pin
    return pins


def record_of(deployment: Manifest) -> tuple[str | None, ...]:
    """Return what differs when somebody has made the pods anew."""
    annotations = deployment["metadata"].get("annotations") or {}
    return annotations.get(Annotation.GRAPH_HASH), annotations.get(Annotation.POD_TEMPLATE)


def are_current(pins: Mapping[str, Pin], now: str) -> bool:
    """Whether all pods are of what the graph asks now: then nothing may replace them by itself."""
    return bool(pins) and all(pin.graph_hash == now for pin in pins.values())


def plane_of(pins: Mapping[str, Pin], now: DataPlane) -> DataPlane:
    """Return what pods of those pins were told; rights and Services have to go with it."""
    known = (pin.plane for pin in pins.values() if pin.plane is not None)
    discoveries = (found for pin in pins.values() if (found := _discovery(pin.template)))
    told = next(known, None) or replace(now, discovery=next(discoveries, now.discovery))
    return replace(told, pods=now.pods, groups=now.groups)


def pinned(
    workloads: Workloads, graph_hash: str, plane: DataPlane, pins: Mapping[str, Pin]
) -> Workloads:
    """Return the workloads with the record, and with the templates of those pins."""
    manifests = (_pinned(m, graph_hash, plane, pins) for m in workloads.manifests)
    return Workloads(manifests=tuple(manifests), problems=workloads.problems)


def _pinned(
    manifest: Manifest, graph_hash: str, plane: DataPlane, pins: Mapping[str, Pin]
) -> Manifest:
    if manifest["kind"] not in KINDS:
        return manifest
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "annotations"}
    template = template_of(manifest)
    pin = pins.get(metadata["name"]) or Pin(graph_hash=graph_hash, template=template, plane=plane)
    bare = with_template({**manifest, "metadata": metadata}, pin.template)
    record = {Annotation.LAST_APPLIED_HASH.value: fingerprint(bare), **_record(pin)}
    return {**bare, "metadata": metadata | {"annotations": record}}


def _record(pin: Pin) -> dict[str, str]:
    record = {
        Annotation.GRAPH_HASH.value: pin.graph_hash,
        Annotation.POD_TEMPLATE.value: _compact(pin.template),
    }
    if pin.plane is not None:
        told = {key: value for key, value in asdict(pin.plane).items() if key not in _NOT_ON_RECORD}
        record[Annotation.DATA_PLANE.value] = _compact(told)
    return record


def _recorded(live: Manifest) -> Pin | None:
    """Read the record; None where there is none, or somebody has made it unreadable."""
    annotations = live["metadata"].get("annotations") or {}
    hash_ = annotations.get(Annotation.GRAPH_HASH)
    try:
        template = json.loads(annotations[Annotation.POD_TEMPLATE])
        plane = annotations.get(Annotation.DATA_PLANE)
        told = None if plane is None else _plane(json.loads(plane))
    except (KeyError, TypeError, ValueError):
        return None
    if not hash_ or not isinstance(template, dict):
        return None
    return Pin(graph_hash=hash_, template=template, plane=told)


def _plane(told: object) -> DataPlane:
    """Read what was told; an operator that knew more, or less, may have written it."""
    if not isinstance(told, dict):
        raise ValueError("a data plane is an object")
    known = {field.name for field in fields(DataPlane)} - _NOT_ON_RECORD
    values = {key: value for key, value in told.items() if key in known}
    values["discovery"] = Discovery(values.get("discovery", Discovery.KUBERNETES))
    values["pull_secrets"] = tuple(values.get("pull_secrets", ()))
    return DataPlane(**values)


def _discovery(template: Manifest) -> Discovery | None:
    for entry in _main(template).get("env") or ():
        if entry["name"] == "DYN_DISCOVERY_BACKEND" and entry.get("value") in list(Discovery):
            return Discovery(entry["value"])
    return None


def _has_what_is_asked(template: Manifest, graph: Graph, component: Component) -> bool:
    """Whether a template has what a component asks, beside whatever else there is."""
    main = _main(template)
    env = {entry["name"]: entry for entry in main.get("env") or ()}
    asked = {entry["name"]: entry for entry in (*graph.env, *component.env)}
    program = {
        "image": component.image,
        "command": component.command,
        "args": component.args,
        "resources": component.container.get("resources"),
    }
    return covers(main, {k: v for k, v in program.items() if v}) and covers(env, asked)


def _main(template: Manifest) -> Manifest:
    containers: Iterator[Manifest] = iter(leading(template).get("spec", {}).get("containers") or ())
    return next((c for c in containers if c.get("name") == MAIN), {})


def _compact(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
