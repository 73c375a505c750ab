"""The profiling Job and its pods, read: how it stands, how it ended, whether it works at all."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dgdr_api.names import Annotation
from dgdr_api.redaction import without_secrets
from dgdr_operator.core.job import CONTAINER
from dgdr_operator.core.observation import ContainerEnd, Idle, IdleReason, JobSeen, JobState
from dgdr_operator.core.observed_workloads import pods_seen

Json = Mapping[str, Any]

# A status is for reading; the pod's log has the rest.
MESSAGE_CHARS = 2000


def job_seen(job: Json | None, pods: Sequence[Json] = ()) -> JobSeen:
    """Read the Job; ``pods`` are its own."""
    if job is None:
        return JobSeen()
    about = JobSeen(
        uid=str(job["metadata"].get("uid", "")),
        version=job["metadata"].get("resourceVersion"),
        going=bool(job["metadata"].get("deletionTimestamp")),
        suspended=Annotation.SUSPEND in (job["metadata"].get("annotations") or {}),
        expires=(job.get("spec") or {}).get("ttlSecondsAfterFinished") is not None,
    )
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition.get("status") != "True":
            continue
        if condition.get("type") == "Complete":
            return replace(about, state=JobState.COMPLETE)
        if condition.get("type") == "Failed":
            message = condition.get("message") or condition.get("reason") or "no reason given"
            return replace(about, state=JobState.FAILED, message=message, end=_last_end(pods))
    return replace(about, state=JobState.RUNNING, idle=_idle(job, pods))


def _last_end(pods: Iterable[Json]) -> ContainerEnd | None:
    """Return how the profiler container of the newest pod ended."""
    ends = [end for pod in pods for end in _ends(pod)]
    return max(ends, key=lambda dated: dated[0])[1] if ends else None


def _ends(pod: Json) -> Iterable[tuple[str, ContainerEnd]]:
    for status in _profilers(pod):
        terminated = (status.get("state") or {}).get("terminated")
        if terminated:
            message = str(terminated.get("message") or "").strip()
            yield (
                str(terminated.get("finishedAt") or ""),
                ContainerEnd(
                    pod=pod["metadata"]["name"],
                    container=CONTAINER,
                    exit_code=int(terminated.get("exitCode", -1)),
                    reason=str(terminated.get("reason") or ""),
                    message=without_secrets(message)[-MESSAGE_CHARS:],
                ),
            )


def _idle(job: Json, pods: Sequence[Json]) -> Idle | None:
    """Return why no profiler is at work; None when one is."""
    name = job["metadata"]["name"]
    if any(_works(pod) for pod in pods):
        return None
    if (job.get("spec") or {}).get("suspend"):
        text = f"Job {name} is suspended; set its spec.suspend to false to go on"
        return Idle(reason=IdleReason.SUSPENDED, message=text)
    if not pods:
        text = f"Job {name} has no pod; kubectl describe job {name} tells why if none comes"
        return Idle(reason=IdleReason.NO_POD, message=text)
    return _idle_pod(max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp"))))


def _works(pod: Json) -> bool:
    """Whether the profiler runs, and is not about to end."""
    running = any("running" in (status.get("state") or {}) for status in _profilers(pod))
    return running and not pod["metadata"].get("deletionTimestamp")


def _idle_pod(pod: Json) -> Idle:
    meta, phase = pod["metadata"], (pod.get("status") or {}).get("phase")
    name = f"pod {meta['name']}"
    if meta.get("deletionTimestamp"):
        return Idle(reason=IdleReason.POD_TERMINATING, message=f"{name} is being deleted")
    if phase in ("Succeeded", "Failed"):
        follows = "the Job is about to" if phase == "Succeeded" else "the Job starts another one"
        text = f"{name} has ended; {follows}"
        return Idle(reason=IdleReason.POD_ENDED, message=text)
    (seen,) = pods_seen([dict(pod)])
    if seen.unschedulable is not None:
        text = f"{name} has no node: {seen.unschedulable}"
        return Idle(reason=IdleReason.POD_UNSCHEDULABLE, message=text)
    if seen.troubles:
        return Idle(reason=IdleReason.POD_STUCK, message=f"{name}, {seen.troubles[0]}")
    return Idle(reason=IdleReason.POD_STARTING, message=f"{name} is starting")


def _profilers(pod: Json) -> Iterable[Json]:
    """Return the state of the container that profiles; a user's may run beside it."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return (status for status in statuses if status.get("name") == CONTAINER)
