"""Writing an SLAPlanner's status, whatever became of it since it was read."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime

from dgdr_api.models.sla_planner_status import SLAPlannerStatus
from dgdr_api.names import FieldManager
from dgdr_kube.errors import ClusterError, Conflict, NotFound
from dgdr_kube.kinds import SLA_PLANNER
from dgdr_kube.manifests import merge_patch, ref
from dgdr_kube.ports import Cluster, Event, Key, Manifest
from dgdr_planner.tell.conditions import failed, short_cause
from dgdr_planner.tell.events import events_after
from dgdr_planner.turn import Read

log = logging.getLogger(__name__)


class StatusWriter:
    """Writes statuses and the events that go with them."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def tell(self, events: Iterable[Event]) -> None:
        """Emit the events of a change of status."""
        for event in events:
            await self._cluster.emit(event)

    async def write(self, key: Key, manifest: Manifest, status: SLAPlannerStatus) -> None:
        """Write what differs from the manifest.

        An edit of anything else meanwhile does not matter. Another status does: raises Conflict,
        for another planner that leads by now may have written it.
        """
        try:
            try:
                await self._patch(key, manifest, status)
            except Conflict:
                found = await self._cluster.get(SLA_PLANNER, *key)
                if found is None or found["metadata"]["uid"] != manifest["metadata"]["uid"]:
                    return
                if found.get("status") != manifest.get("status"):
                    raise
                await self._patch(key, found, status)
        except NotFound:
            log.info("SLAPlanner %s/%s is gone", *key)

    async def tell_failure(
        self, key: Key, read: Read, old: SLAPlannerStatus, exc: Exception, now: datetime
    ) -> None:
        """Write that a pass failed."""
        new = failed(old, short_cause(exc), read.planner.metadata.generation, now)
        if new == old:
            return
        with suppress(ClusterError):  # what failed the pass may fail this too; the log has it
            await self.write(key, read.manifest, new)
            await self.tell(events_after(ref(read.manifest), old, new, read.policy.interval_s))

    async def _patch(self, key: Key, manifest: Manifest, status: SLAPlannerStatus) -> None:
        # A difference holds for the version that it was taken from.
        patch = merge_patch(manifest.get("status") or {}, status.to_json())
        version = manifest["metadata"].get("resourceVersion")
        await self._cluster.patch_status(SLA_PLANNER, *key, patch, FieldManager.PLANNER, version)
