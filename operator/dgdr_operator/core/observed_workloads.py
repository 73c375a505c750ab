"""Workloads and pods as the cluster reports them, read into values once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dgdr_api.cluster_words import pull_cause, scheduler_words, shortened
from dgdr_api.names import FieldManager, Label
from dgdr_api.redaction import without_secrets

# What a waiting container says when waiting longer will not help by itself.
_STUCK = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "PreCreateHookError",
        "RunContainerError",
    }
)
# Of these the kubelet quotes the runtime, which names the image again and again.
_NO_IMAGE = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName"})
MAX_WORDS_CHARS = 300
# A controller hears of a change at once; one that changes no number is never told of.
REPORTED_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSeen:
    """A Deployment or a LeaderWorkerSet: what is wanted of it and how far it is.

    Numbers are of replicas: pods of the former, groups of pods of the latter, which does not say
    how many are available. ``observed_generation`` is None as long as no controller has looked at
    it. ``has_old_pods``: some of an older template are still to be replaced. ``failure`` is why
    pods cannot be created, such as a quota.
    """

    name: str
    kind: str = "Deployment"
    generation: int = 0
    observed_generation: int | None = None
    wanted: int = 0
    replicas: int = 0
    updated: int = 0
    ready: int = 0
    available: int = 0
    has_old_pods: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why a container does not run: what the kubelet says and the process's last words."""

    container: str
    reason: str
    restarts: int = 0
    words: str = ""

    def __str__(self) -> str:
        plural = "s" if self.restarts > 1 else ""
        again = f" after {self.restarts} restart{plural}" if self.restarts else ""
        words = f": {self.words}" if self.words else ""
        return f"container {self.container} {self.reason}{again}{words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSeen:
    """A pod that is not being deleted; ``unschedulable`` is the scheduler's sentence.

    ``scheduled`` tells whether it has a node.
    """

    name: str
    component: str
    unschedulable: str | None = None
    scheduled: bool = False
    troubles: tuple[Trouble, ...] = ()


def workload_seen(manifest: dict[str, Any], now: datetime | None = None) -> WorkloadSeen:
    """Read a Deployment or a LeaderWorkerSet; ``now`` tells how old a report of the latter is."""
    meta, status = manifest["metadata"], manifest.get("status") or {}
    failures = (
        c.get("message", "")
        for c in status.get("conditions") or ()
        if c.get("type") == "ReplicaFailure" and c.get("status") == "True"
    )
    is_group = manifest.get("kind") == "LeaderWorkerSet"
    replicas, updated = status.get("replicas", 0), status.get("updatedReplicas", 0)
    return WorkloadSeen(
        name=meta["name"],
        kind="LeaderWorkerSet" if is_group else "Deployment",
        generation=meta.get("generation", 0),
        observed_generation=_group_generation(manifest, now)
        if is_group
        else status.get("observedGeneration"),
        wanted=manifest["spec"].get("replicas", 1),
        replicas=replicas,
        updated=updated,
        ready=status.get("readyReplicas", 0),
        available=status.get("readyReplicas" if is_group else "availableReplicas", 0),
        has_old_pods=_rolls(status) if is_group else replicas > updated,
        failure=next(failures, None),
    )


def _rolls(status: dict[str, Any]) -> bool:
    """Whether a LeaderWorkerSet replaces groups.

    It counts a group that starts again as one that is not updated, too.
    """
    conditions = status.get("conditions") or ()
    return any((c.get("type"), c.get("status")) == ("UpdateInProgress", "True") for c in conditions)


def _group_generation(manifest: dict[str, Any], now: datetime | None) -> int | None:
    """Return the generation that a LeaderWorkerSet's report is about.

    Its releases differ in whether they tell. One that does not is taken at its word once it has
    conditions, but not right after we have changed it, when it still tells of what was before.
    """
    status = manifest.get("status") or {}
    told = status.get("observedGeneration")
    if told is not None or not status.get("conditions"):
        return told
    generation: int = manifest["metadata"].get("generation", 0)
    return generation - 1 if now is not None and _is_of_before(manifest, now) else generation


def _is_of_before(manifest: dict[str, Any], now: datetime) -> bool:
    """Whether the report is older than our last write, and there was hardly time for another."""
    entries = [e for e in manifest["metadata"].get("managedFields") or () if e.get("time")]
    ours = [e["time"] for e in entries if e.get("manager") == FieldManager.OPERATOR]
    reports = [e["time"] for e in entries if e.get("subresource") == "status"]
    if not ours or max(ours) < max(reports, default=""):
        return False
    return now - datetime.fromisoformat(max(ours)) < REPORTED_WITHIN


def pods_seen(manifests: Iterable[dict[str, Any]]) -> tuple[PodSeen, ...]:
    """Read pods, without those that are being deleted or are done."""
    return tuple(
        _pod_seen(manifest)
        for manifest in manifests
        if not manifest["metadata"].get("deletionTimestamp")
        and (manifest.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
    )


def _pod_seen(manifest: dict[str, Any]) -> PodSeen:
    meta, status = manifest["metadata"], manifest.get("status") or {}
    placed = [c for c in status.get("conditions") or () if c.get("type") == "PodScheduled"]
    unschedulable = (
        scheduler_words(c.get("message") or c.get("reason", ""))
        for c in placed
        if c.get("status") == "False"
    )
    containers = [
        *(status.get("initContainerStatuses") or ()),
        *(status.get("containerStatuses") or ()),
    ]
    return PodSeen(
        name=meta["name"],
        component=(meta.get("labels") or {}).get(Label.COMPONENT, ""),
        unschedulable=next(unschedulable, None),
        scheduled=any(c.get("status") == "True" for c in placed),
        troubles=tuple(_troubles(containers)),
    )


def _troubles(statuses: Iterable[dict[str, Any]]) -> Iterator[Trouble]:
    for status in statuses:
        state = status.get("state") or {}
        waiting = state.get("waiting") or {}
        ended = state.get("terminated") or (status.get("lastState") or {}).get("terminated")
        restarts = status.get("restartCount", 0)
        stuck = waiting.get("reason") in _STUCK
        # Exit code 0 is no comfort: a worker that may not register ends with it.
        if not stuck and (status.get("ready") or not ended):
            continue
        yield Trouble(
            container=status.get("name", ""),
            reason=_reason(waiting.get("reason") if stuck else None, ended),
            restarts=restarts,
            words=last_words(_words(status, waiting, ended or {})),
        )


def _words(status: dict[str, Any], waiting: dict[str, Any], ended: dict[str, Any]) -> str:
    reason, said = waiting.get("reason"), str(waiting.get("message") or "")
    if reason in _NO_IMAGE and status.get("image"):
        return f'image "{status["image"]}" cannot be pulled ({pull_cause(reason, said)})'
    return str(ended.get("message") or said)


def _reason(waiting: str | None, ended: dict[str, Any] | None) -> str:
    end = f"{ended.get('reason', 'Error')}, exit code {ended.get('exitCode')}" if ended else ""
    if waiting and end:
        return f"{waiting} ({end})"
    return waiting or f"ended ({end})"


def last_words(text: str) -> str:
    """Return the last line that says something, shortened, without what looks like a token."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = without_secrets(lines[-1]) if lines else ""
    return shortened(line, MAX_WORDS_CHARS)
