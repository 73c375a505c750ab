"""Whether pods that an earlier operator, or other settings, made are made anew; and its report."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from dgdr_api.conditions import READY, condition, find, with_condition
from dgdr_api.graph import Graph
from dgdr_api.models.base import Conditions
from dgdr_api.models.dgd_v1beta1 import DGDStatus
from dgdr_api.names import Annotation
from dgdr_kube.manifests import covers
from dgdr_operator.core.data_plane import DataPlane
from dgdr_operator.core.observed_run import is_candidate
from dgdr_operator.core.pinned import Pin, are_current, pinned, plane_of
from dgdr_operator.core.workload import KINDS, template_of, workload_name
from dgdr_operator.core.workloads import Workloads, render_workloads

Manifest = dict[str, Any]

UP_TO_DATE = "UpToDate"
MAX_PATHS = 4
READY_WITHIN = timedelta(hours=1)
"""Who is not ready again after that loses its turn; large models load for tens of minutes."""
MOST_STUCK = 1
"""One deployment that does not come back may be ill by itself; more are the upgrade's fault."""
CURE = f"set annotation {Annotation.UPGRADE_REQUESTED_AT} to another value to replace the pods now"


class Rollout(StrEnum):
    """When pods come to what this operator would make; the chart's ``rollout``."""

    ON_CHANGE = "OnChange"
    """With the next change of their deployment, or on request."""
    AUTOMATIC = "Automatic"
    """By themselves too, one deployment after the other."""


class Verdict(StrEnum):
    """What happens to the pods of a graph, as the reason of its condition UpToDate."""

    CURRENT = "Current"
    """They are what this operator would make, or are being made by it."""
    RENDERED_EARLIER = "RenderedEarlier"
    MEASURED = "BeingMeasured"
    WAITS_FOR_TURN = "WaitsForTurn"
    UPGRADING = "Upgrading"
    """It has the turn, and keeps it until it is ready, for ``READY_WITHIN``."""
    STUCK = "UpgradeStuck"
    """It was upgraded and did not become ready; others have had their turn since."""
    REFUSED = "UpgradeRefused"
    """What its pods are to be was refused all the while; others have had their turn since."""


LOST_TURN = (Verdict.STUCK, Verdict.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renderings:
    """The workloads as this operator would make them, and as they are kept.

    ``behind`` says what is different; ``told`` is what the pods that are kept were told.
    """

    fresh: Workloads
    kept: Workloads
    told: DataPlane
    behind: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What is decided about a graph's pods, and what to say about it.

    ``handled_at`` is the request that has been answered.
    """

    verdict: Verdict
    message: str
    handled_at: str | None = None


NOTHING_BEHIND = Upgrade(
    verdict=Verdict.CURRENT, message="pods are what this operator makes of the deployment"
)


def renderings(
    graph: Graph, owner: Manifest, plane: DataPlane, graph_hash: str, pins: Mapping[str, Pin]
) -> Renderings:
    """Render a graph both ways."""
    fresh = render_workloads(graph, owner, plane)
    made_anew = pinned(fresh, graph_hash, plane, {})
    if not are_current(pins, graph_hash):
        return Renderings(fresh=made_anew, kept=made_anew, told=plane)
    told = plane_of(pins, plane)
    as_told = fresh if told == plane else render_workloads(graph, owner, told)
    kept = pinned(as_told, graph_hash, told, pins)
    behind = tuple(_behind(graph, fresh, pins))
    return Renderings(fresh=made_anew, kept=kept, told=told, behind=behind)


def is_requested(dgd: Manifest, old: DGDStatus) -> bool:
    """Whether the annotation has a value that was not answered yet."""
    asked = requested_at(dgd)
    return asked is not None and asked != old.last_handled_upgrade_at


def requested_at(dgd: Manifest) -> str | None:
    """Return the annotation's value."""
    annotations = dgd["metadata"].get("annotations") or {}
    asked: str | None = annotations.get(Annotation.UPGRADE_REQUESTED_AT)
    return asked


def may_take_turn(siblings: Iterable[Manifest], *, is_up: bool) -> Verdict:
    """Say whether a graph may be upgraded by itself, seen the graphs of its namespace.

    One that is not ready is left to somebody who knows why. While candidates are measured, the GPUs
    that an update needs in between would be theirs.
    """
    if any(map(is_candidate, siblings)):
        return Verdict.MEASURED
    return Verdict.UPGRADING if is_up else Verdict.WAITS_FOR_TURN


def reason_of(dgd: Mapping[str, Any]) -> str:
    """Return the reason of a graph's condition UpToDate; empty where it has none.

    It is asked of all graphs, so no status is read as a whole for it.
    """
    for one in (dgd.get("status") or {}).get("conditions") or ():
        if isinstance(one, Mapping) and one.get("type") == UP_TO_DATE:
            return str(one.get("reason") or "")
    return ""


def is_late(old: DGDStatus, now: datetime) -> bool:
    """Whether a graph that has its turn has not been ready for too long.

    It was ready when it was given the turn.
    """
    ready = find(old.conditions, READY)
    return (
        ready is not None and not ready.is_true and now - ready.last_transition_time > READY_WITHIN
    )


def was_ready(old: DGDStatus) -> bool:
    """Whether a graph says that it is ready, so that it is known since when it is not."""
    ready = find(old.conditions, READY)
    return ready is not None and ready.is_true


def taking_turn(
    old: DGDStatus, behind: tuple[str, ...], now: datetime, generation: int
) -> DGDStatus:
    """Return the status by which every other graph waits."""
    message = text_of(Verdict.UPGRADING, behind)
    upgrade = Upgrade(verdict=Verdict.UPGRADING, message=message)
    conditions = with_upgrade(old.conditions, upgrade, now, generation)
    return old.model_copy(update={"conditions": conditions})


def with_upgrade(
    conditions: Conditions, upgrade: Upgrade, now: datetime, generation: int
) -> Conditions:
    """Return the conditions with UpToDate; nothing is said where nothing ever was."""
    is_current = upgrade.verdict is Verdict.CURRENT
    if is_current and find(conditions, UP_TO_DATE) is None:
        return conditions
    new = condition(UP_TO_DATE, is_current, upgrade.verdict, upgrade.message, now, generation)
    return with_condition(conditions, new, now)


def text_of(
    verdict: Verdict, behind: tuple[str, ...], holder: str = "", *, is_written: bool = True
) -> str:
    """Return the message of a verdict: what differs, why it stays, what to do about it.

    ``holder`` says who is waited for; ``is_written`` that nothing was refused or in the way.
    """
    what = "; ".join(behind)
    minutes = READY_WITHIN // timedelta(minutes=1)
    match verdict:
        case Verdict.CURRENT:
            return NOTHING_BEHIND.message
        case Verdict.RENDERED_EARLIER:
            return f"pods run as they were made earlier: {what}; {CURE}, or edit the deployment"
        case Verdict.MEASURED:
            why = "profiling measures, which an upgrade would disturb"
            return f"pods run as they were made earlier: {what}; {why}"
        case Verdict.WAITS_FOR_TURN:
            why = holder or "only a ready one is upgraded"
            return f"pods run as they were made earlier: {what}; {why}, so it waits; {CURE}"
        case Verdict.UPGRADING if behind and not is_written:
            return f"pods are to be replaced: {what}; condition Ready says what is in the way"
        case Verdict.UPGRADING:
            return f"pods are being replaced: {what or 'waiting until all are ready'}"
        case Verdict.REFUSED:
            why = f"what replaces them was refused for {minutes} minutes"
            return (
                f"pods run as they were made earlier: {what}; {why}, so the next deployment has "
                f"its turn; {CURE}"
            )
        case Verdict.STUCK:
            return (
                f"pods were replaced and did not become ready within {minutes} minutes, so the "
                "next deployment has its turn; condition Ready says why: edit the deployment"
            )
        case _:
            assert_never(verdict)


# -- what differs


def _behind(graph: Graph, fresh: Workloads, pins: Mapping[str, Pin]) -> Iterator[str]:
    """Say what differs, components with the same differences together."""
    templates = {
        m["metadata"]["name"]: template_of(m) for m in fresh.manifests if m["kind"] in KINDS
    }
    components: dict[tuple[str, ...], list[str]] = {}
    for component in graph.components:
        name = workload_name(graph, component)
        if name in templates and name in pins:
            paths = tuple(differences(pins[name], templates[name]))
            components.setdefault(paths, []).append(component.name)
    for paths, names in components.items():
        if paths:
            more = f" and {len(paths) - MAX_PATHS} more" if len(paths) > MAX_PATHS else ""
            yield f"{', '.join(names)}: {', '.join(paths[:MAX_PATHS])}{more}"


def differences(pin: Pin, wanted: Manifest) -> Iterator[str]:
    """Return the fields in which a pod template is not what is wanted now.

    A live template has fields that only the API server wanted, so what is no longer wanted of one
    cannot be told from those.
    """
    return _differences(pin.template, wanted, "", is_exact=pin.plane is not None)


def _differences(have: Any, want: Any, path: str, *, is_exact: bool) -> Iterator[str]:
    if have == want:
        return
    if isinstance(have, Mapping) and isinstance(want, Mapping):
        for key in sorted({*want, *(have if is_exact else ())}):
            if not is_exact and covers({key: have.get(key)}, {key: want.get(key)}):
                continue
            below = f"{path}.{key}" if path and not key.startswith("[") else f"{path}{key}"
            yield from _differences(have.get(key), want.get(key), below, is_exact=is_exact)
    elif (named := _by_name(have, want)) is not None:
        # Whoever has more entries than we want is different, whatever the API server adds to them.
        mine, theirs = named
        for name in sorted(theirs.keys() - mine.keys()):
            yield f"{path}{name}"
        kept = {name: entry for name, entry in theirs.items() if name in mine}
        yield from _differences(kept, mine, path, is_exact=is_exact)
    elif have or want:
        yield path


def _by_name(have: Any, want: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Return what is wanted and what is there by name, where both are lists of named entries."""
    lists = want, have
    if not all(isinstance(one, list | tuple) and one for one in lists):
        return None
    if not all(isinstance(entry, Mapping) and "name" in entry for one in lists for entry in one):
        return None
    mine, theirs = ({f"[{entry['name']}]": entry for entry in one} for one in lists)
    return (mine, theirs) if len(mine) == len(want) and len(theirs) == len(have) else None
