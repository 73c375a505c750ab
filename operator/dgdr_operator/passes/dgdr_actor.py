"""Does what was decided about a DGDR; each write can be repeated and can be the last one."""

import logging
from datetime import datetime

from dgdr_api import names
from dgdr_api.models.dgdr_v1beta1 import Phase
from dgdr_api.names import Annotation
from dgdr_kube.errors import NotFound, Rejected
from dgdr_kube.kinds import CONFIG_MAP, DGD, JOB
from dgdr_kube.ports import Cluster
from dgdr_kube.served import Served
from dgdr_operator.core.job import TTL, keep_finished_s
from dgdr_operator.core.leftovers import leftovers
from dgdr_operator.core.observation import CandidateSeen, JobState, Observation
from dgdr_operator.core.steps import Deploy, Resume, StartOver, StartProfiling, Step, Suspend
from dgdr_operator.passes.deployment_writer import DeploymentWriter
from dgdr_operator.passes.live import MANAGER
from dgdr_operator.passes.profiling_start import ProfilingStart
from dgdr_operator.settings import Settings

log = logging.getLogger(__name__)


class DgdrActor:
    """Writes on behalf of one request at a time."""

    def __init__(self, cluster: Cluster, settings: Settings, served: Served) -> None:
        self._cluster = cluster
        self._profiling = ProfilingStart(cluster, settings, served)
        self._deployment = DeploymentWriter(cluster)

    async def sweep(self, seen: Observation, now: datetime) -> tuple[CandidateSeen, ...]:
        """Delete the candidates that no profiler looks after; returns those."""
        gone = leftovers(seen, now)
        for candidate in gone:
            log.info("Deleting candidate %s of %s", candidate.name, seen.request.name)
            await self._cluster.delete(DGD, seen.request.namespace, candidate.name, candidate.uid)
        return gone

    async def act(self, seen: Observation, step: Step) -> Step:
        """Do the step; returns what came of it: a refusal by the API server is a failure."""
        match step:
            case StartOver():
                return await self._clear(seen, step)
            case Suspend() if seen.job.state is JobState.RUNNING and not seen.job.suspended:
                return await self._set_suspended(seen, step, suspended=True)
            case Resume():
                return await self._set_suspended(seen, step, suspended=False)
            case StartProfiling(hardware):
                return await self._profiling.start(seen, step, hardware)
            case Deploy(deployment):
                return await self._deployment.deploy(seen, step, deployment)
            case _:
                return step

    async def let_expire(self, seen: Observation, recorded: Phase | None) -> None:
        """Give the Job its time to live, once its end is on record in the status.

        A refusal is for the log: a Job that stays harms nobody. One that changed meanwhile is
        looked at again: the Conflict ends this pass.
        """
        on_record = recorded not in (None, Phase.PENDING, Phase.PROFILING)
        over = seen.job.state in (JobState.COMPLETE, JobState.FAILED)
        spec = seen.accepted.spec if seen.accepted else seen.request.spec
        if not (on_record and over) or seen.job.expires or seen.job.going or spec is None:
            return
        patch = {"spec": {TTL: keep_finished_s(spec)}}
        job = names.job_name(seen.request.name)
        try:
            await self._cluster.patch(
                JOB, seen.request.namespace, job, patch, MANAGER, seen.job.version
            )
        except (NotFound, Rejected) as exc:
            log.warning("Job %s/%s gets no time to live: %s", seen.request.namespace, job, exc)

    async def _clear(self, seen: Observation, step: Step) -> Step:
        """Remove what a failed run has left, but for its points: the next one would believe it."""
        request = seen.request
        log.info("Starting over: %s/%s", request.namespace, request.name)
        if seen.job.state is not JobState.ABSENT:
            job = names.job_name(request.name)
            await self._cluster.delete(JOB, request.namespace, job, seen.job.uid)
        if seen.output is not None:
            await self._cluster.patch(
                CONFIG_MAP,
                request.namespace,
                names.output_config_map(request.name),
                {"data": None, "binaryData": None},
                MANAGER,
                resource_version=seen.output.version,
            )
        return step

    async def _set_suspended(self, seen: Observation, step: Step, *, suspended: bool) -> Step:
        """Stop the Job or let it go on; its annotation tells it from one that a user stopped."""
        mark = {Annotation.SUSPEND.value: "true" if suspended else None}
        patch = {"metadata": {"annotations": mark}, "spec": {"suspend": suspended}}
        job = names.job_name(seen.request.name)
        await self._cluster.patch(JOB, seen.request.namespace, job, patch, MANAGER)
        return step
