"""What is counted of a request, its Job and a graph: read from the objects as they are told of.

A count needs no pass, and no object is asked for. Times are Unix seconds; None is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dgdr_api.conditions import READY, STALLED
from dgdr_api.models.dgd_v1beta1 import DgdState
from dgdr_api.models.dgdr_v1beta1 import Phase
from dgdr_operator.core.observed_run import is_candidate
from dgdr_operator.core.upgrades import reason_of

Json = Mapping[str, Any]

_PHASES = {phase.value: phase for phase in Phase}
_STATES = {state.value: state for state in DgdState}


class Use(StrEnum):
    """What a graph's GPUs are used for."""

    SERVING = "serving"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class RequestCounted:
    """A request; ``failed_s`` is since when it is Failed.

    ``created_s`` is when it was made, while nobody has looked at it.
    """

    phase: Phase
    created_s: float | None
    failed_s: float | None


@dataclass(frozen=True, slots=True)
class GraphCounted:
    """A graph; ``gpus`` are those of the pods that are there.

    ``unready_s`` is since when it is not ready. ``behind`` is the reason of UpToDate; empty where
    nothing ever was behind.
    """

    use: Use
    state: DgdState
    gpus: int
    unready_s: float | None
    behind: str


def request_counted(dgdr: Json) -> RequestCounted:
    """Count a request; one that nobody has looked at yet is Pending."""
    status = dgdr.get("status") or {}
    said = _PHASES.get(str(status.get("phase")))
    created_s = seconds_of(dgdr["metadata"].get("creationTimestamp")) if said is None else None
    failed_s = _since(status, STALLED, "True") if said is Phase.FAILED else None
    return RequestCounted(said or Phase.PENDING, created_s, failed_s)


def graph_counted(dgd: Json) -> GraphCounted:
    """Count a graph; one that nobody has looked at yet is initializing."""
    status = dgd.get("status") or {}
    return GraphCounted(
        use=Use.CANDIDATE if is_candidate(dgd) else Use.SERVING,
        state=_STATES.get(str(status.get("state")), DgdState.INITIALIZING),
        gpus=sum(map(_gpus, (status.get("components") or {}).values())),
        unready_s=_since(status, READY, "False"),
        behind=reason_of(dgd),
    )


def deadline_of(job: Json) -> float | None:
    """Return when a profiling Job has to be over; None where it is, or has all the time."""
    status, spec = job.get("status") or {}, job.get("spec") or {}
    began_s = seconds_of(status.get("startTime"))
    allowed_s = spec.get("activeDeadlineSeconds")
    is_over = any(
        one.get("type") in ("Complete", "Failed") and one.get("status") == "True"
        for one in _conditions(status)
    )
    if is_over or began_s is None or not isinstance(allowed_s, int):
        return None
    return began_s + allowed_s


def seconds_of(timestamp: object) -> float | None:
    """Read a time of Kubernetes; None where it is none."""
    try:
        return datetime.fromisoformat(str(timestamp)).timestamp()
    except ValueError:
        return None


def _conditions(status: Json) -> list[Json]:
    return [one for one in status.get("conditions") or () if isinstance(one, Mapping)]


def _since(status: Json, type_: str, word: str) -> float | None:
    for one in _conditions(status):
        if (one.get("type"), one.get("status")) == (type_, word):
            return seconds_of(one.get("lastTransitionTime"))
    return None


def _gpus(component: Json) -> int:
    return int(component.get("replicas") or 0) * int(component.get("gpusPerReplica") or 0)
