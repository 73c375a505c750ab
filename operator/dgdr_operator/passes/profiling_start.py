"""Starts the profiling of a request: the Job, its rights, and the file that it is told."""

import logging

from dgdr_api.request import (
    DataPlane,
    OwnerReference,
    ProfilingRequest,
    RequestHardware,
    RequestImages,
)
from dgdr_kube.errors import AlreadyExists, Conflict, Rejected
from dgdr_kube.kinds import DGD, DGDR, kind_of
from dgdr_kube.manifests import covers, is_owned_by, is_written_by
from dgdr_kube.ports import Cluster, Manifest
from dgdr_kube.served import Served
from dgdr_operator.core.hardware import HardwareFound
from dgdr_operator.core.job import JobImage, render_job, render_request
from dgdr_operator.core.job_account import render_account, render_network_policy
from dgdr_operator.core.observation import JobState, Observation, Request
from dgdr_operator.core.refusals import job_refused
from dgdr_operator.core.steps import Step
from dgdr_operator.passes.live import MANAGER, apply_over, get_live
from dgdr_operator.settings import Settings

log = logging.getLogger(__name__)


class ProfilingStart:
    """Each write can be repeated; the Job comes last, so that nothing is missing when it runs."""

    def __init__(self, cluster: Cluster, settings: Settings, served: Served) -> None:
        self._cluster = cluster
        self._dgd = served.of(DGD)
        self._settings = settings

    async def start(self, seen: Observation, step: Step, hardware: HardwareFound) -> Step:
        """Make the Job and all that it needs; a refusal by the API server is a failure."""
        if seen.job.state is not JobState.ABSENT:
            return step  # all but the status was written when the operator was stopped
        request = await self._profiling_request(seen, hardware)
        log.info("Starting profiling of %s/%s", request.namespace, request.dgdr_name)
        try:
            await self._ensure_account(request)
            told = render_request(request)
            await apply_over(self._cluster, told, await get_live(self._cluster, told))
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
        return ProfilingRequest(
            dgdr_name=request.name,
            namespace=request.namespace,
            uid=request.uid,
            generation=request.generation,
            spec=spec,
            policy=seen.policy,
            hardware=_told(hardware),
            images=self._engine_images(),
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

    def _engine_images(self) -> RequestImages:
        images = self._settings.images
        return RequestImages(
            dynamo_mocker=images.dynamo_mocker or None,
            pull_policy=images.pull_policy,
            pull_secrets=images.pull_secrets,
        )

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
        network = render_network_policy(request, ports)
        if ports:
            await self._ensure(network, request.uid)
        else:
            await self._remove_own(network, request.uid)
        for wanted in render_account(request, self._settings.profiling.cluster_role):
            await self._ensure(wanted, request.uid)

    async def _ensure(self, wanted: Manifest, uid: str) -> None:
        """Make what the Job may do, as it is wanted now; what a user made stays the user's."""
        existing = await get_live(self._cluster, wanted)
        if existing is None:
            await self._cluster.create(wanted, MANAGER)
            return
        if not (is_owned_by(existing, uid) or is_left_behind(existing)):
            if _is_of_requests(existing):
                what = f"{wanted['kind']} {wanted['metadata']['name']}"
                raise Conflict(f"{what} of an earlier request is being collected")
            return
        if existing.get("roleRef") != wanted.get("roleRef"):
            # The role of a binding cannot be changed: it is of an earlier installation.
            await self._delete(existing)
            await self._cluster.create(wanted, MANAGER)
        elif not (is_owned_by(existing, uid) and covers(_content(existing), _content(wanted))):
            await apply_over(self._cluster, wanted, existing)

    async def _remove_own(self, unwanted: Manifest, uid: str) -> None:
        existing = await get_live(self._cluster, unwanted)
        if existing is not None and (is_owned_by(existing, uid) or is_left_behind(existing)):
            await self._delete(existing)

    async def _delete(self, existing: Manifest) -> None:
        meta = existing["metadata"]
        kind = kind_of(existing)
        await self._cluster.delete(kind, meta["namespace"], meta["name"], meta["uid"])


def _told(hardware: HardwareFound) -> RequestHardware:
    return RequestHardware(
        gpu_sku=hardware.gpu_sku,
        gpu_product=hardware.gpu_product,
        gpus_per_node=hardware.gpus_per_node,
        total_gpus=hardware.total_gpus,
        vram_mib=hardware.vram_mib,
        source=hardware.source,
    )


def is_left_behind(shared: Manifest) -> bool:
    """Whether a request that owned it was deleted without it (``--cascade=orphan``).

    Nobody collects what has no owner, and nobody else writes under our name.
    """
    return not shared["metadata"].get("ownerReferences") and is_written_by(shared, MANAGER)


def _content(manifest: Manifest) -> Manifest:
    return {part: manifest[part] for part in ("rules", "spec") if part in manifest}


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
