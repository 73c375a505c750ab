"""``spec.restart``: new pods for a graph that asks for them by another id, in turn or all at once.

What a component was restarted for stands at its pods, so that an operator that was killed half-way
goes on with the next one.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dgdr_api.graph import Graph
from dgdr_api.models.dgd_v1beta1 import RestartPhase, RestartStatus, RestartType
from dgdr_api.reading import CodecError, Reader
from dgdr_operator.core.workload import (
    KINDS,
    group_pods,
    leading,
    pod_runs,
    template_of,
    with_template,
)

Manifest = dict[str, Any]

FIELD = "spec.restart"
RESTARTED_FOR = "nvidia.com/restart-id"
"""Annotation of pods: the id for which they were made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What is asked: an id, and the components in their order; at once, or one after the other."""

    id: str
    order: tuple[str, ...]
    at_once: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A component's workload: the id that its pods carry, and whether all of them are ready."""

    id: str | None
    ready: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The id that each component's pods shall carry (None: as they are made), and the report."""

    ids: Mapping[str, str | None]
    status: RestartStatus | None = None


def restart_of(graph: Graph, old: RestartStatus | None = None) -> Restart | None:
    """Read what is asked; components that the order leaves out follow by name.

    The order of a restart that is completed may name components that have gone since.

    Raises:
        CodecError: a field cannot be read, or names no component.
    """
    given = graph.extra.get("spec", {}).get("restart")
    if given is None:
        return None
    reader = Reader(given, FIELD)
    asked = reader.text("id")
    strategy = reader.inner("strategy")
    how = strategy.text("type") or RestartType.SEQUENTIAL
    if how not in tuple(RestartType):
        raise CodecError(f"{FIELD}.strategy.type", how, f"one of {', '.join(RestartType)}")
    order = strategy.texts("order")
    names = sorted(component.name for component in graph.components)
    if old is not None and _is_done(asked, old):
        order = tuple(name for name in order if name in names)
    for index, name in enumerate(order):
        if name not in names:
            path = f"{FIELD}.strategy.order[{index}]"
            raise CodecError(path, name, f"the name of a component: {', '.join(names)}")
    if not asked:
        return None
    first = tuple(dict.fromkeys(order))
    rest = tuple(name for name in names if name not in first)
    return Restart(id=asked, order=(*first, *rest), at_once=how == RestartType.PARALLEL)


def planned(
    asked: Restart | None,
    there: Mapping[str, Standing],
    old: RestartStatus | None,
    *,
    was_seen: bool = False,
) -> Plan:
    """Decide what is restarted now.

    ``there`` are the components that have a workload; one without gets pods of the new id at once.
    ``was_seen``: somebody has reconciled this very generation, maybe an operator that knew of no
    restarts; what it passed over is not asked again.
    """
    kept = {name: one.id for name, one in there.items() if one.id is not None}
    if asked is None:
        return Plan(ids=kept)
    done = RestartStatus(observed_id=asked.id, phase=RestartPhase.COMPLETED)
    passed_over = was_seen and old is None and bool(there) and asked.id not in kept.values()
    if passed_over or (old is not None and _is_done(asked.id, old)):
        as_made = {name: one.id for name, one in there.items()}
        return Plan(ids={**dict.fromkeys(asked.order, asked.id), **as_made}, status=done)
    known = [(name, there[name]) for name in asked.order if name in there]
    pending = [name for name, one in known if not (one.id == asked.id and one.ready)]
    turn = pending if asked.at_once else pending[:1]
    fresh = {name: asked.id for name in asked.order if name in turn or name not in pending}
    phase = RestartPhase.RESTARTING if pending else RestartPhase.COMPLETED
    status = RestartStatus(
        observed_id=asked.id,
        phase=phase,
        in_progress=tuple(turn) or None,
    )
    return Plan(ids={**kept, **fresh}, status=status)


def _is_done(id_: str | None, old: RestartStatus) -> bool:
    return (old.observed_id, old.phase) == (id_, RestartPhase.COMPLETED)


def id_of(workload: Mapping[str, Any]) -> str | None:
    """Return the id that a workload's pods carry."""
    metadata = leading(template_of(workload)).get("metadata") or {}
    found: str | None = (metadata.get("annotations") or {}).get(RESTARTED_FOR)
    return found


def have_come(workload: Mapping[str, Any], pods: Iterable[Mapping[str, Any]]) -> bool:
    """Whether all pods of a group carry its id and run.

    Most releases of LeaderWorkerSet do not say which generation their report is about, so for a
    moment after a restart was asked for it tells of the groups from before.
    """
    if "observedGeneration" in (workload.get("status") or {}) or id_of(workload) is None:
        return True
    return [_runs_for(pod) for pod in pods] == [id_of(workload)] * group_pods(workload)


def _runs_for(pod: Mapping[str, Any]) -> str | None:
    """Return the id that a pod carries; None while it comes or goes."""
    id_: str | None = (pod["metadata"].get("annotations") or {}).get(RESTARTED_FOR)
    return id_ if pod_runs(pod) else None


def with_ids(
    manifests: Iterable[Manifest], ids: Mapping[str, str | None], component: str
) -> tuple[Manifest, ...]:
    """Return the workloads with the ids; ``component`` is the label that names theirs."""
    return tuple(_with_id(manifest, ids, component) for manifest in manifests)


def _with_id(manifest: Manifest, ids: Mapping[str, str | None], component: str) -> Manifest:
    wanted = ids.get(manifest["metadata"].get("labels", {}).get(component, ""))
    if wanted is None or manifest["kind"] not in KINDS:
        return manifest
    template = template_of(manifest)
    if leading(template) is template:
        return with_template(manifest, _marked(template, wanted))
    return with_template(manifest, {key: _marked(one, wanted) for key, one in template.items()})


def _marked(template: Manifest, wanted: str) -> Manifest:
    metadata = template.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), RESTARTED_FOR: wanted}
    return {**template, "metadata": {**metadata, "annotations": annotations}}
