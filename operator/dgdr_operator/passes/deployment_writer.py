"""Writes what a run has found: the deployment, its curves and its SLAPlanner."""

import logging

from dgdr_api.names import FieldManager
from dgdr_kube.errors import AlreadyExists, Conflict, Rejected
from dgdr_kube.kinds import SLA_PLANNER, kind_of
from dgdr_kube.manifests import covers, merge_patch, owner_reference
from dgdr_kube.ports import Cluster, Manifest
from dgdr_operator.core import final_config, observed_run
from dgdr_operator.core.final_config import Deployment
from dgdr_operator.core.observation import Observation, Origin, Request
from dgdr_operator.core.refusals import deployment_refused
from dgdr_operator.core.steps import Step
from dgdr_operator.passes.live import MANAGER, apply_over, get_live

log = logging.getLogger(__name__)


class DeploymentWriter:
    """Each write can be repeated and can be the last one."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def deploy(self, seen: Observation, step: Step, deployment: Deployment) -> Step:
        """Make it, or bring it up to date; a refusal by the API server is a failure."""
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
            existing = await get_live(self._cluster, wanted)
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
        return await apply_over(self._cluster, wanted, live)

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
        existing = await get_live(self._cluster, wanted)
        if existing is None or not covers(existing, wanted):
            await apply_over(self._cluster, wanted, existing)

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
            await apply_over(self._cluster, wanted, there)
