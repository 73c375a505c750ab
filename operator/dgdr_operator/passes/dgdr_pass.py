"""One pass over a DynamoGraphDeploymentRequest: observe, decide, act, report."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from dgdr_api.conditions import find
from dgdr_api.models.dgdr_v1beta1 import DGDRStatus
from dgdr_kube.errors import ClusterError
from dgdr_kube.kinds import DGDR
from dgdr_kube.manifests import merge_patch, ref
from dgdr_kube.pass_record import decided
from dgdr_kube.ports import Event, Key, Manifest, Severity, WatchedCluster
from dgdr_kube.served import AS_NAMED, Served
from dgdr_operator.core import steps
from dgdr_operator.core.leftovers import leftovers
from dgdr_operator.core.lifecycle import next_step
from dgdr_operator.core.notices import Notice, about_sweep, notices, reconcile_failed
from dgdr_operator.core.observation import JobState, Observation
from dgdr_operator.core.observed_run import status_seen
from dgdr_operator.core.status import failed_pass_status, status_after
from dgdr_operator.core.steps import Aspect, Step
from dgdr_operator.passes.data_plane_observer import DataPlaneObserver
from dgdr_operator.passes.dgdr_actor import DgdrActor
from dgdr_operator.passes.dgdr_observer import DgdrObserver
from dgdr_operator.passes.failures import lasting
from dgdr_operator.passes.live import patch_status
from dgdr_operator.passes.orphans import sweep_orphans
from dgdr_operator.passes.waits import Waits, waited_for
from dgdr_operator.settings import Settings

AT_ONCE_S = 0.0
# Events of children start a pass; these only bound how long a lost event goes unnoticed.
JOB_S = 15.0
DEPLOYMENT_S = 10.0
AT_REST_S = 600.0
# A quota or a policy that refuses a Job or a deployment is asked again at least this often.
LEAST_BLOCKED_S = 10.0
BLOCKED_S = 600.0
# What the spec names may appear at any time; a ConfigMap of a user's own is not watched.
REFERENCES_S = 30.0
LONGEST_S = 120.0
# A watch tells of nodes, claims and policies: this bounds how long a lost event goes unnoticed.
LONGEST_WATCHED_S = 600.0
# Garbage collection of an earlier request's objects takes about this long.
PREDECESSOR_S = 2.0


class DgdrPass:
    """Reconciles one request; safe to repeat and to be killed at any write."""

    def __init__(
        self,
        cluster: WatchedCluster,
        settings: Settings,
        waits: Waits | None = None,
        served: Served = AS_NAMED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        data_plane = DataPlaneObserver(cluster, clock)
        self._observer = DgdrObserver(cluster, data_plane, settings)
        self._fresh = DgdrObserver(cluster.fresh, data_plane, settings)
        self._actor = DgdrActor(cluster, settings, served)
        self._waits = waits or Waits()

    async def __call__(self, key: Key, now: datetime) -> float | None:
        """Run one pass; returns the seconds after which to look again."""
        dgdr = await self._cluster.look(DGDR, key.namespace, key.name)
        if dgdr is None:
            decided("Gone")
            self._waits.forget(key)
            await sweep_orphans(self._cluster, key.namespace)
            return None
        try:
            return await self._reconcile(dgdr, now)
        except Exception as exc:
            # What no step expects, such as a right that is missing, must not stay in a log.
            await self._say_failed(dgdr, exc, now)
            raise

    async def _reconcile(self, dgdr: Manifest, now: datetime) -> float | None:
        seen = await self._observer.observe(dgdr)
        step = next_step(seen)
        if not _is_at_rest(step, seen) or leftovers(seen, now):
            # What was heard may be a moment old, and no two kinds as old as each other.
            meta = dgdr["metadata"]
            found = await self._cluster.get(DGDR, meta["namespace"], meta["name"])
            if found is None:
                return None  # the watch is about to say so
            dgdr, seen = found, await self._fresh.observe(found)
            step = next_step(seen)
        decided(type(step).__name__)
        # At once: what comes while the rest is written must not be missed.
        self._waits.note(Key(seen.request.namespace, seen.request.name), waited_for(step, seen))
        gone = await self._actor.sweep(seen, now)
        step = await self._actor.act(seen, step)
        decided(type(step).__name__)
        status = status_after(seen, step, now)
        told = [about_sweep(gone)] if gone else []
        await self._emit(dgdr, [*told, *notices(seen, step, status)])
        await self._write(dgdr, status)
        await self._actor.let_expire(seen, status.phase)
        return look_again_s(step, status, now)

    async def _say_failed(self, dgdr: Manifest, error: Exception, now: datetime) -> None:
        message = lasting(error)
        if message is None:
            return
        generation = int(dgdr["metadata"].get("generation", 1))
        await self._emit(dgdr, [reconcile_failed(message, generation)])
        status = failed_pass_status(status_seen(dgdr), generation, message, now)
        with suppress(ClusterError):  # the first failure is what the log has to tell
            await self._write(dgdr, status)

    async def _write(self, dgdr: Manifest, status: DGDRStatus) -> None:
        """Write what differs."""
        patch = merge_patch(dgdr.get("status") or {}, status.to_json())
        await patch_status(self._cluster, DGDR, dgdr, patch)

    async def _emit(self, dgdr: Manifest, told: list[Notice]) -> None:
        for notice in told:
            await self._cluster.emit(
                Event(
                    about=ref(dgdr),
                    reason=notice.reason,
                    message=notice.message,
                    severity=Severity.WARNING if notice.warning else Severity.NORMAL,
                    once=notice.once,
                )
            )


# Steps that write nothing but what was seen: the next pass can take it back.
_RESTING = (
    steps.AwaitReferences,
    steps.AwaitPredecessor,
    steps.AwaitHardware,
    steps.AwaitJob,
    steps.AwaitRemoval,
    steps.AwaitDeployment,
    steps.ReportDeployed,
    steps.Settled,
)


def _is_at_rest(step: Step, seen: Observation) -> bool:
    if isinstance(step, steps.Suspend):
        return seen.job.state is not JobState.RUNNING or seen.job.suspended
    return isinstance(step, _RESTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Patience:
    """How long to wait for what may come at any time: at least, and at most."""

    aspect: Aspect
    least_s: float
    most_s: float

    def delay_s(self, status: DGDRStatus, now: datetime) -> float:
        """Wait as long as it has lasted, which doubles each time.

        So the back-off needs no counter, and a new operator goes on with it.
        """
        known = find(status.conditions, self.aspect)
        lasted_s = (now - known.last_transition_time).total_seconds() if known else 0.0
        return min(max(lasted_s, self.least_s), self.most_s)


_REFERENCES = _Patience(aspect=Aspect.VALIDATION, least_s=REFERENCES_S, most_s=LONGEST_S)
_WATCHED = _Patience(aspect=Aspect.VALIDATION, least_s=REFERENCES_S, most_s=LONGEST_WATCHED_S)
_HARDWARE = _Patience(aspect=Aspect.PROFILING, least_s=REFERENCES_S, most_s=LONGEST_WATCHED_S)
_PREDECESSOR = _Patience(aspect=Aspect.PROFILING, least_s=PREDECESSOR_S, most_s=LONGEST_S)
_JOB_BLOCKED = _Patience(aspect=Aspect.PROFILING, least_s=LEAST_BLOCKED_S, most_s=BLOCKED_S)
_BLOCKED = _Patience(aspect=Aspect.DEPLOYMENT_READY, least_s=LEAST_BLOCKED_S, most_s=BLOCKED_S)


def look_again_s(step: Step, status: DGDRStatus, now: datetime) -> float | None:
    """Return the seconds after which a pass is due even when nothing is heard."""
    patience = _patience(step)
    return _fixed_s(step) if patience is None else patience.delay_s(status, now)


def _patience(step: Step) -> _Patience | None:
    match step:
        case steps.AwaitReferences(is_watched=is_watched):
            return _WATCHED if is_watched else _REFERENCES
        case steps.AwaitHardware():
            return _HARDWARE
        case steps.AwaitPredecessor():
            return _PREDECESSOR
        case steps.AwaitJobPermission():
            return _JOB_BLOCKED
        case steps.AwaitPermission():
            return _BLOCKED
        case _:
            return None


def _fixed_s(step: Step) -> float | None:
    match step:
        case steps.RecordResult(deploys=True) | steps.StartOver():
            return AT_ONCE_S
        case steps.StartProfiling() | steps.AwaitJob() | steps.Resume():
            return JOB_S
        case steps.Deploy() | steps.AwaitRemoval() | steps.AwaitDeployment():
            return DEPLOYMENT_S
        case steps.ReportDeployed() | steps.Suspend():
            return AT_REST_S
        case _:  # nothing follows by itself
            return None
