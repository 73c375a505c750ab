"""Why a pod will not serve, from what kubelet and scheduler say about it. Pure.

Every container counts: an engine may run as a native sidecar, and an init container that fetches
the model may fail before the engine ever starts.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from dgdr_api.cluster_words import pull_cause, scheduler_words

Json = Mapping[str, Any]

# A first error of a registry is often the only one. The kubelet's second try comes 10 to 15 s after
# the first, later where it is busy.
PULL_PATIENCE_S = 20.0
# A worker that lost its race with discovery restarts once and is fine; twice is a pattern.
MOST_RESTARTS = 1

# States of a container that do not go away by waiting.
_HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "PreCreateHookError",
        "RunContainerError",
    }
)
_PULLING = frozenset({"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"})
_NO_IMAGE = frozenset({"ErrImageNeverPull", "ImageInspectError", "InvalidImageName"})
# What a registry says when asking it again gives the same answer.
_FINAL_WORDS = (
    "not found",
    "manifest unknown",
    "name unknown",
    "unauthorized",
    "authentication required",
    "denied",
    "invalid reference format",
    "no match for platform",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A pod that will not serve.

    ``patience_s`` is how long it may be like this before it is believed. ``image`` is set when the
    image itself cannot be had: ``reason`` is why then. ``log_end`` is what the kubelet kept of the
    container's log: to read the log itself takes a right. ``lasting`` is False when the same
    candidate may do well on another day.
    """

    pod: str
    reason: str
    container: str | None = None
    restarted: bool = False
    patience_s: float = 0.0
    image: str | None = None
    log_end: str = ""
    lasting: bool = True

    @property
    def may_be_pulled(self) -> bool:
        """Whether the image may still come."""
        return self.image is not None and self.patience_s > 0

    @property
    def place(self) -> tuple[str, str | None]:
        """What is in trouble."""
        return self.pod, self.container

    def __str__(self) -> str:
        if self.image is not None:
            # The same for every pod with that image.
            return f'image "{self.image}" cannot be pulled ({self.reason})'
        container = f", container {self.container}" if self.container else ""
        return f"pod {self.pod}{container}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Homeless:
    """A pod without a node, what the scheduler says, and since when."""

    pod: str
    words: str
    since: datetime | None = None

    def waited_s(self, now: datetime) -> float:
        """Return how long it has waited; 0 when the scheduler does not say."""
        return 0.0 if self.since is None else (now - self.since).total_seconds()


def troubles(pods: Iterable[Json]) -> Iterator[Trouble]:
    """Yield what is wrong with each pod."""
    for pod in pods:
        lost = _lost(pod)
        if lost is not None:
            yield lost
            continue
        for status in _unfinished(pod):
            found = _of_container(pod["metadata"]["name"], status)
            if found is not None:
                yield found


def homeless(pods: Iterable[Json]) -> Iterator[Homeless]:
    """Yield the pods without a node; one that a queue holds back is not looked at yet."""
    for pod in pods:
        scheduled = _condition(pod, "PodScheduled")
        if scheduled.get("status") == "False" and scheduled.get("reason") != "SchedulingGated":
            since = scheduled.get("lastTransitionTime")
            yield Homeless(
                pod=pod["metadata"]["name"],
                words=scheduler_words(str(scheduled.get("message") or "it has no node")),
                since=datetime.fromisoformat(since) if since else None,
            )


def main_image_digest(pod: Json) -> str:
    """Return the digest of the image that the main container runs, or an empty text."""
    ids = [str(s.get("imageID") or "") for s in _statuses(pod) if s.get("name") == "main"]
    return ids[0].rpartition("@")[2] if ids else ""


def _lost(pod: Json) -> Trouble | None:
    """Return why a pod as a whole is no more; its replacement meets the same node or none."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    disrupted = _condition(pod, "DisruptionTarget")
    if status.get("reason") == "NodeLost" or status.get("phase") == "Unknown":
        return Trouble(pod=name, reason="its node does not answer any more", lasting=False)
    if status.get("phase") == "Failed":
        words = _joined(str(status.get("reason") or "Failed"), str(status.get("message") or ""))
        return Trouble(pod=name, reason=words, lasting=False)
    if disrupted.get("status") == "True":
        why = str(disrupted.get("reason") or "disrupted")
        words = _joined(why, str(disrupted.get("message") or ""))
        return Trouble(pod=name, reason=words, lasting=False)
    return None


def _of_container(pod: str, status: Json) -> Trouble | None:
    waiting = (status.get("state") or {}).get("waiting") or {}
    ended = _ended(status)
    restarts = int(status.get("restartCount") or 0)
    reason, container = waiting.get("reason"), str(status.get("name"))
    found = Trouble(pod=pod, container=container, reason="", restarted=restarts > 0)
    found = replace(found, log_end=str(ended.get("message") or ""))
    if reason in _PULLING | _NO_IMAGE:
        return _no_image(found, status, waiting)
    if ended.get("reason") == "OOMKilled":
        return replace(found, reason=f"OOMKilled (exit code {ended.get('exitCode')})")
    if reason in _HOPELESS:
        why = _last_words(ended) or waiting.get("message") or ""
        return replace(found, reason=f"{reason} ({why})".replace(" ()", ""))
    if restarts > MOST_RESTARTS:
        return replace(found, reason=f"restarted {restarts} times ({_last_words(ended)})")
    return None


def _no_image(found: Trouble, status: Json, waiting: Json) -> Trouble:
    image = str(status.get("image") or "")
    reason, words = str(waiting.get("reason")), str(waiting.get("message") or "")
    final = reason in _NO_IMAGE or any(word in words.lower() for word in _FINAL_WORDS)
    return replace(
        found,
        reason=pull_cause(reason, words) if image else _joined(reason, words),
        patience_s=0.0 if final else PULL_PATIENCE_S,
        image=image or None,
    )


def _ended(status: Json) -> Json:
    """Return how the container ended last, when it did and not well."""
    now = (status.get("state") or {}).get("terminated")
    before = (status.get("lastState") or {}).get("terminated")
    ended: Json = now or before or {}
    return ended


def _last_words(ended: Json) -> str:
    if not ended:
        return ""
    reason = ended.get("reason") or "ended"
    return f"{reason}, exit code {ended.get('exitCode')}"


def _unfinished(pod: Json) -> Iterator[Json]:
    """Yield the containers that ran or are to run; an init container that is done has served."""
    sidecars = {
        c.get("name")
        for c in (pod.get("spec") or {}).get("initContainers") or ()
        if c.get("restartPolicy") == "Always"
    }
    for status in (pod.get("status") or {}).get("initContainerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated") or {}
        done = ended and ended.get("exitCode") == 0 and status.get("name") not in sidecars
        if not done:
            yield status
    yield from _statuses(pod)


def _statuses(pod: Json) -> list[Json]:
    return list((pod.get("status") or {}).get("containerStatuses") or ())


def _condition(pod: Json, kind: str) -> Json:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c.get("type") == kind), {})


def _joined(reason: str, words: str) -> str:
    return f"{reason} ({words})" if words else reason
