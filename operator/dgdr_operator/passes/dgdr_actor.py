"""Does what was decided about a DGDR; each write can be repeated and can be the last one."""

import logging
from datetime import datetime

from dgdr_api import names
from dgdr_api.models.dgdr_v1beta1 import Phase
from dgdr_api.names import Annotation, FieldManager
from dgdr_api.request import (
    DataPlane,
    OwnerReference,
    ProfilingRequest,
    RequestHardware,
    RequestImages,
)
from dgdr_kube.errors import AlreadyExists, Conflict, NotFound, Rejected
from dgdr_kube.kinds import CONFIG_MAP, DGD, DGDR, JOB, ROLE_BINDING, SLA_PLANNER, kind_of
from dgdr_kube.manifests import (
    covers,
    is_owned_by,
    is_written_by,
    merge_patch,
    over,
    owner_reference,
    version_of,
)
from dgdr_kube.ports import Cluster, Manifest, WatchedCluster
from dgdr_kube.served import Served
from dgdr_operator.core import final_config, observed_run
from dgdr_operator.core.final_config import Deployment
from dgdr_operator.core.hardware import HardwareFound
from dgdr_operator.core.job import (
    TTL,
    JobImage,
    keep_finished_s,
    render_job,
    render_request,
)
from dgdr_operator.core.job_account import render_account, render_network_policy
from dgdr_operator.core.leftovers import leftovers
from dgdr_operator.core.observation import CandidateSeen, JobState, Observation, Origin, Request
from dgdr_operator.core.refusals import deployment_refused, job_refused
from dgdr_operator.core.steps import Deploy, Resume, StartOver, StartProfiling, Step, Suspend
from dgdr_operator.followed import CANDIDATES
from dgdr_operator.settings import Settings

log = logging.getLogger(__name__)

MANAGER = FieldManager.OPERATOR.value


class DgdrActor:
    """Writes on behalf of one request at a time."""

    def __init__(self, cluster: Cluster, settings: Settings, served: Served) -> None:
        self._cluster = cluster
        self._dgd = served.of(DGD)
        self._settings = settings

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
                return await self._start(seen, step, hardware)
            case Deploy(deployment):
                return await self._deploy(seen, step, deployment)
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

    # -- profiling

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

    async def _start(self, seen: Observation, step: Step, hardware: HardwareFound) -> Step:
        if seen.job.state is not JobState.ABSENT:
            return step  # all but the status was written when the operator was stopped
        request = await self._profiling_request(seen, hardware)
        log.info("Starting profiling of %s/%s", request.namespace, request.dgdr_name)
        try:
            await self._ensure_account(request)
            told = render_request(request)
            await self._apply_over(told, await self._get(told))
            await self._cluster.create(render_job(request, self._image()), MANAGER)
        except AlreadyExists as exc:
            raise Conflict(f"the profiling Job appeared meanwhile: {exc}") from exc
        except Rejected as exc:
            return job_refused(exc.status, exc.message)
        return step

    async def _profiling_request(
        self, seen: Observation, hardware: HardwareFound
    ) -> ProfilingRequest:
        """Return what the Job is told; a run that has begun keeps what it began with."""
        pending = seen.request.status.profiling_job_name is None
        if seen.accepted is not None and not pending:
            return seen.accepted
        request, spec = seen.request, seen.request.spec
        if spec is None:
            raise Conflict(f"the spec of {request.name} cannot be read any more")
        images = self._settings.images
        return ProfilingRequest(
            dgdr_name=request.name,
            namespace=request.namespace,
            uid=request.uid,
            generation=request.generation,
            spec=spec,
            policy=seen.policy,
            hardware=RequestHardware(
                gpu_sku=hardware.gpu_sku,
                gpu_product=hardware.gpu_product,
                gpus_per_node=hardware.gpus_per_node,
                total_gpus=hardware.total_gpus,
                vram_mib=hardware.vram_mib,
                source=hardware.source,
            ),
            images=RequestImages(
                dynamo_mocker=images.dynamo_mocker or None,
                pull_policy=images.pull_policy,
                pull_secrets=images.pull_secrets,
            ),
            data_plane=DataPlane.model_validate(self._settings.data_plane.model_dump()),
            owner_reference=_owner(request),
            reusable=await self._reusable(request.namespace, request.uid, spec.model),
            dgd_api_version=None if self._dgd == DGD else self._dgd.api_version,
        )

    async def _reusable(self, namespace: str, uid: str, model: str) -> tuple[str, ...]:
        """Name the other requests for a model: their points may be those that this one needs."""
        found = await self._cluster.list(DGDR, namespace)
        others = [dgdr for dgdr in found if dgdr["metadata"]["uid"] != uid]
        named = [o["metadata"]["name"] for o in others if o.get("spec", {}).get("model") == model]
        return tuple(sorted(named))

    def _image(self) -> JobImage:
        images = self._settings.images
        return JobImage(
            name=images.profiler,
            pull_policy=images.pull_policy,
            pull_secrets=images.pull_secrets,
            user_id=self._settings.security.run_as_user,
        )

    async def _ensure_account(self, request: ProfilingRequest) -> None:
        ports = self._settings.security.job_egress_ports
        network = (render_network_policy(request, ports),) if ports else ()
        account = render_account(request, self._settings.profiling.cluster_role)
        for wanted in (*network, *account):
            await self._ensure_right(wanted, request.uid)

    async def _ensure_right(self, wanted: Manifest, uid: str) -> None:
        """Make what the Job's rights consist of; an object that a user made stays the user's."""
        existing = await self._get(wanted)
        if existing is None:
            await self._cluster.create(wanted, MANAGER)
            return
        meta = existing["metadata"]
        what = f"{wanted['kind']} {meta['name']}"
        if not is_owned_by(existing, uid):
            if _is_of_requests(existing):
                raise Conflict(f"{what} of an earlier request is being collected")
            return
        if existing.get("roleRef") != wanted.get("roleRef"):
            # The role of a binding cannot be changed: it is of an earlier installation.
            await self._cluster.delete(ROLE_BINDING, meta["namespace"], meta["name"], meta["uid"])
            await self._cluster.create(wanted, MANAGER)
        elif existing.get("rules") != wanted.get("rules"):
            await self._apply_over(wanted, existing)

    async def _apply_over(self, wanted: Manifest, live: Manifest | None) -> Manifest:
        version = version_of(live)
        return await self._cluster.apply(over(wanted, live), MANAGER, resource_version=version)

    async def _get(self, manifest: Manifest) -> Manifest | None:
        meta = manifest["metadata"]
        return await self._cluster.get(kind_of(manifest), meta["namespace"], meta["name"])

    # -- deployment

    async def _deploy(self, seen: Observation, step: Step, deployment: Deployment) -> Step:
        exists = seen.dgd is not None
        try:
            dgd = await self._ensure_dgd(seen.request, deployment)
            exists = True
            owner = owner_reference(dgd, controller=False)
            await self._ensure_data(final_config.data_manifest(deployment, owner))
            await self._settle_planner(seen.request, deployment, owner)
        except Rejected as exc:
            return deployment_refused(deployment, exc.status, exc.message, exists)
        return step

    async def _ensure_dgd(self, request: Request, deployment: Deployment) -> Manifest:
        """Create the DGD with its first replicas, then apply it without them.

        The apply hands the content over to the field manager ``dgdr-operator`` and never names
        replicas, so those that the planner has set by then stay.
        """
        wanted = final_config.applied_manifest(deployment)
        try:
            live = await self._cluster.create(deployment.dgd, FieldManager.INIT.value)
            log.info("Created DGD %s", deployment.name)
        except AlreadyExists:
            existing = await self._get(wanted)
            there = None if existing is None else observed_run.dgd_seen(existing, request)
            strange = (Origin.FOREIGN, Origin.RELEASED)
            if existing is None or there is None or there.going or there.origin in strange:
                raise Conflict(f"another DGD {deployment.name} appeared meanwhile") from None
            if there.applied_hash == deployment.content_hash:
                return existing
            if there.origin is Origin.EARLIER:
                spec = final_config.succeeding_spec(existing, deployment.dgd)
                existing = await self._take_over(existing, spec)
            live = existing
        return await self._apply_over(wanted, live)

    async def _take_over(self, existing: Manifest, spec: Manifest) -> Manifest:
        """Replace the spec of an object that an earlier request of this name has left.

        An apply alone would leave what only the earlier one had, such as a component.
        """
        meta = existing["metadata"]
        log.info("Taking over %s %s/%s", existing["kind"], meta["namespace"], meta["name"])
        patch = merge_patch(existing["spec"], spec)
        if not patch:
            return existing
        return await self._cluster.patch(
            kind_of(existing),
            meta["namespace"],
            meta["name"],
            {"spec": patch},
            FieldManager.INIT.value,
            resource_version=meta["resourceVersion"],
        )

    async def _ensure_data(self, wanted: Manifest) -> None:
        """Make the ConfigMap with the curves; one of an earlier run of this name is updated."""
        if not wanted["data"]:
            return
        existing = await self._get(wanted)
        if existing is None or not covers(existing, wanted):
            await self._apply_over(wanted, existing)

    async def _settle_planner(
        self, request: Request, deployment: Deployment, owner: Manifest
    ) -> None:
        """Create the SLAPlanner once: afterwards its mode and targets are the user's.

        One of an earlier request of this name scales by curves of another deployment.
        """
        there = await self._cluster.get(SLA_PLANNER, request.namespace, deployment.name)
        earlier = observed_run.origin_of(there, request) is Origin.EARLIER
        if deployment.planner is None:
            if there is not None and earlier:
                meta = there["metadata"]
                log.info("Deleting SLAPlanner %s/%s", meta["namespace"], meta["name"])
                await self._cluster.delete(
                    SLA_PLANNER, meta["namespace"], meta["name"], meta["uid"]
                )
            return
        wanted = final_config.planner_manifest(deployment.planner, owner)
        if there is None:
            await self._cluster.create(wanted, MANAGER)
        elif earlier:
            there = await self._take_over(there, wanted["spec"])
            await self._apply_over(wanted, there)


def _is_of_requests(shared: Manifest) -> bool:
    """Whether a request owns an object, or did until a moment ago: labels alone can be copied."""
    owners = shared["metadata"].get("ownerReferences") or ()
    of_requests = any(owner.get("kind") == DGDR.kind for owner in owners)
    return of_requests or is_written_by(shared, MANAGER)


def _owner(request: Request) -> OwnerReference:
    return OwnerReference(
        api_version=request.api_version,
        kind="DynamoGraphDeploymentRequest",
        name=request.name,
        uid=request.uid,
    )


async def sweep_orphans(cluster: WatchedCluster, namespace: str | None) -> list[str]:
    """Delete candidates of requests that no longer exist; returns their names.

    Garbage collection does this too, by their owner reference. This is for candidates that lost
    it, and so that GPUs are free at once.
    """
    if not await _orphans(cluster, namespace):
        return []
    orphans = await _orphans(cluster.fresh, namespace)
    for dgd in orphans:
        meta = dgd["metadata"]
        log.info("Deleting candidate %s/%s: its request is gone", meta["namespace"], meta["name"])
        await cluster.delete(DGD, meta["namespace"], meta["name"], meta["uid"])
    return [dgd["metadata"]["name"] for dgd in orphans]


async def _orphans(cluster: WatchedCluster, namespace: str | None) -> list[Manifest]:
    """Return the candidates without their request; those are looked at first.

    A request is older than its candidates: one that came meanwhile has none among these.
    """
    made = await cluster.find(DGD, namespace, CANDIDATES)
    candidates = [dgd for dgd in made if observed_run.is_candidate(dgd)]
    if not candidates:
        return []
    alive = {dgdr["metadata"]["uid"] for dgdr in await cluster.find(DGDR, namespace)}
    return [
        dgd for dgd in candidates if dgd["metadata"]["labels"][names.Label.RUN.value] not in alive
    ]
