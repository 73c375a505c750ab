"""Jobs and their pods: tries, ends, time to live, as Kubernetes' Job controller keeps them."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from dgdr_kube.kinds import JOB, POD
from dgdr_kube.manifests import is_going, is_owned_by
from dgdr_kube.ports import Manifest
from support.fake_cluster import FakeCluster

START_S = 3.0
RETRY_S = 10.0
HOPELESS_EXIT_CODE = 2


class Jobs:
    """Starts a pod for each Job that needs one, and says how the Job has ended."""

    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster
        self._made = 0
        # By the Job's uid: pods that counted as failures, and when the last one did.
        self._failed: dict[str, set[str]] = defaultdict(set)
        self._running: dict[str, str] = {}
        self._retry_at: dict[str, datetime] = {}
        self._finished_at: dict[str, datetime] = {}
        self._now = datetime(2025, 1, 1, tzinfo=UTC)
        self.held: Manifest | None = None
        """Status of pods that do not come up; None: they do."""

    def fail_for_good(self, name: str) -> None:
        """Have failed as often as the Job may."""
        for job in self._cluster.of(JOB):
            if _place(job)[1] == name:
                limit = job["spec"].get("backoffLimit", 6)
                self._failed[job["metadata"]["uid"]] |= {f"earlier-{n}" for n in range(limit)}

    def end(self, name: str, type_: str, message: str) -> None:
        """End a Job, its pods with it."""
        for job in self._cluster.of(JOB):
            if _place(job)[1] == name:
                for pod in self._cluster.of(POD):
                    if is_owned_by(pod, job["metadata"]["uid"]):
                        self._cluster.drop(POD, *_place(pod))
                self._end(job, type_, message, self._now)

    def step(self, now: datetime) -> float | None:
        """Do what is due; returns the seconds until something else is."""
        self._now = now
        due = [self._reconcile(job, now) for job in [*self._cluster.of(JOB)] if not is_going(job)]
        return min((s for s in due if s is not None), default=None)

    def _reconcile(self, job: Manifest, now: datetime) -> float | None:
        uid = job["metadata"]["uid"]
        pods = [p for p in self._cluster.of(POD) if is_owned_by(p, uid)]
        if is_finished(job):
            return self._expire(job, now)
        if job["spec"].get("suspend"):
            for pod in pods:
                self._cluster.drop(POD, *_place(pod))
            self._running.pop(uid, None)
            return None
        self._count(uid, pods, now)
        for pod in pods:
            if phase_of(pod) == "Succeeded":
                return self._end(job, "Complete", "", now)
            if exit_code(pod) == HOPELESS_EXIT_CODE:
                text = f"Container profiler failed with exit code 2 of pod {_place(pod)[1]}"
                return self._end(job, "Failed", text, now)
        if len(self._failed[uid]) > job["spec"].get("backoffLimit", 6):
            return self._end(job, "Failed", "Job has reached the specified backoff limit", now)
        if any(phase_of(pod) not in ("Succeeded", "Failed") for pod in pods):
            return self._age(pods, now)
        return self._try_again(job, now)

    def _count(self, uid: str, pods: list[Manifest], now: datetime) -> None:
        """Count a pod that failed, or that was deleted while it ran, but no eviction."""
        names = {_place(pod)[1] for pod in pods}
        running = self._running.get(uid)
        if running is not None and running not in names:
            self._fail(uid, running, now)
        for pod in pods:
            name = _place(pod)[1]
            if phase_of(pod) == "Failed" and name == running:
                if is_disrupted(pod):
                    del self._running[uid]
                else:
                    self._fail(uid, name, now)

    def _fail(self, uid: str, pod: str, now: datetime) -> None:
        self._failed[uid].add(pod)
        self._running.pop(uid, None)
        again_s = RETRY_S * 2 ** (len(self._failed[uid]) - 1)
        self._retry_at[uid] = now + timedelta(seconds=again_s)

    def _try_again(self, job: Manifest, now: datetime) -> float | None:
        uid = job["metadata"]["uid"]
        wait_s = (self._retry_at.get(uid, now) - now).total_seconds()
        if wait_s > 0:
            return wait_s
        self._made += 1
        name = f"{job['metadata']['name']}-{self._made}"
        template = job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
        self._cluster.seed(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": job["metadata"]["namespace"],
                    "labels": dict(template["metadata"]["labels"]),
                    "creationTimestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "ownerReferences": [{**owner, "name": job["metadata"]["name"], "uid": uid}],
                },
                "spec": template["spec"],
                "status": {"phase": "Pending"},
            }
        )
        self._running[uid] = name
        return START_S

    def _age(self, pods: list[Manifest], now: datetime) -> float | None:
        for pod in pods:
            status = pod.get("status") or {}
            if status.get("phase") != "Pending":
                continue
            if self.held is not None:
                if status != self.held:
                    self._cluster.set_status(POD, *_place(pod), self.held)
                continue
            born = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
            left_s = START_S - (now - born).total_seconds()
            if left_s > 0:
                return left_s
            self._cluster.set_status(POD, *_place(pod), running_status())
        return None

    def _end(self, job: Manifest, type_: str, message: str, now: datetime) -> float | None:
        status = {"conditions": [{"type": type_, "status": "True", "message": message}]}
        self._finished_at[job["metadata"]["uid"]] = now
        self._cluster.set_status(JOB, *_place(job), status)
        return None

    def _expire(self, job: Manifest, now: datetime) -> float | None:
        ttl_s = job["spec"].get("ttlSecondsAfterFinished")
        ended = self._finished_at.get(job["metadata"]["uid"], now)
        if ttl_s is None:
            return None
        left_s = float(ttl_s) - (now - ended).total_seconds()
        if left_s > 0:
            return left_s
        self._cluster.drop(JOB, *_place(job))
        return None


def is_finished(job: Manifest) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions)


def phase_of(pod: Manifest) -> str:
    return str((pod.get("status") or {}).get("phase"))


def exit_code(pod: Manifest) -> int | None:
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        ended = (status.get("state") or {}).get("terminated")
        if ended:
            return int(ended["exitCode"])
    return None


def is_disrupted(pod: Manifest) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "DisruptionTarget" and c["status"] == "True" for c in conditions)


def running_status() -> Manifest:
    return {
        "phase": "Running",
        "conditions": [{"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [{"name": "profiler", "ready": True, "state": {"running": {}}}],
    }


def ended_status(code: int, reason: str, message: str = "", **more: Any) -> Manifest:
    ended = {"exitCode": code, "reason": reason, "message": message}
    return {
        "phase": "Succeeded" if code == 0 else "Failed",
        "containerStatuses": [{"name": "profiler", "ready": False, "state": {"terminated": ended}}],
        **more,
    }


def _place(manifest: Manifest) -> tuple[str, str]:
    meta = manifest["metadata"]
    return meta["namespace"], meta["name"]
