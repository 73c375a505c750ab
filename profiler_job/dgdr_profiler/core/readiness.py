"""Whether a deployed pair serves, from what the cluster says about it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dgdr_api.models.dgd_v1beta1 import DgdState, DynamoGraphDeployment
from dgdr_api.models.worker_metadata import DynamoWorkerMetadata
from dgdr_profiler.core.candidate import EngineFacts
from dgdr_profiler.core.errors import CandidateFailed

# States of a container that do not go away by waiting.
_HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)
# A worker that lost its race with discovery restarts once and is fine; twice is a pattern.
MOST_RESTARTS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A pod that will not serve."""

    pod: str
    reason: str
    restarted: bool


def is_ready(dgd: DynamoGraphDeployment) -> bool:
    """Whether the reconciler says so about this very spec.

    Raises:
        CandidateFailed: it says that the deployment failed.
    """
    ready = next((c for c in dgd.status.conditions if c.type == "Ready"), None)
    if dgd.status.state is DgdState.FAILED:
        said = f": {ready.message}" if ready else ""
        raise CandidateFailed(f"the deployment {dgd.metadata.name} failed{said}")
    current = dgd.status.observed_generation == dgd.metadata.generation
    return current and ready is not None and ready.is_true


def trouble(pods: Iterable[Mapping[str, Any]]) -> Trouble | None:
    """Return the first pod that waiting will not help."""
    for pod in pods:
        for status in _statuses(pod):
            found = _trouble(pod["metadata"]["name"], status)
            if found is not None:
                return found
    return None


def _trouble(pod: str, status: Mapping[str, Any]) -> Trouble | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = (status.get("lastState") or {}).get("terminated") or {}
    restarts = int(status.get("restartCount") or 0)
    reason = waiting.get("reason")
    if reason in _HOPELESS:
        why = ended.get("reason") or waiting.get("message") or ""
        return Trouble(
            pod=pod, reason=f"{reason} ({why})".replace(" ()", ""), restarted=restarts > 0
        )
    if restarts > MOST_RESTARTS:
        code = f"{ended.get('reason')}, exit code {ended.get('exitCode')}"
        return Trouble(pod=pod, reason=f"restarted {restarts} times ({code})", restarted=True)
    return None


def unschedulable(pods: Iterable[Mapping[str, Any]]) -> str | None:
    """Return what the scheduler says about a pod that has no node."""
    for pod in pods:
        for condition in (pod.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                return f"pod {pod['metadata']['name']}: {condition.get('message')}"
    return None


def facts_of(pod: Mapping[str, Any], metadata: DynamoWorkerMetadata | None) -> EngineFacts:
    """Return what a decode worker says about itself.

    Raises:
        CandidateFailed: the pod does not say which image it runs.
    """
    digest = image_digest(pod)
    if not digest:
        raise CandidateFailed(f"pod {pod['metadata']['name']} does not say which image it runs")
    card = next(iter(metadata.cards()), None) if metadata else None
    return EngineFacts(
        image_digest=digest,
        max_kv_tokens=card.kv_capacity_tokens if card else None,
        max_batch=card.max_num_seqs if card else None,
        context_length=card.context_length if card else None,
    )


def image_digest(pod: Mapping[str, Any]) -> str:
    """Return the digest of the image that the main container runs, or an empty text."""
    ids = [str(s.get("imageID") or "") for s in _statuses(pod) if s.get("name") == "main"]
    return ids[0].rpartition("@")[2] if ids else ""


def _statuses(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((pod.get("status") or {}).get("containerStatuses") or ())
