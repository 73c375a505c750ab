"""Events (events.k8s.io/v1) under names derived from their content.

A repetition after a crash, or an equal Event a minute later, raises the count of the one that is
there: users see one line, etcd holds one object.
"""

import hashlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime

from dgdr_kube.errors import AlreadyExists, ClusterError
from dgdr_kube.kinds import EVENT
from dgdr_kube.ports import Cluster, Event, Manifest

log = logging.getLogger(__name__)

# The API server refuses longer notes.
_NOTE_CHARS = 1024
_NAME_CHARS = 200


def _now() -> datetime:
    return datetime.now(UTC)


class EventWriter:
    """Writes Events through a cluster on behalf of one process."""

    def __init__(
        self, cluster: Cluster, instance: str, clock: Callable[[], datetime] = _now
    ) -> None:
        self._cluster = cluster
        self._instance = instance
        self._clock = clock

    async def write(self, event: Event) -> None:
        """Create the Event, or count it up; a failure is logged and forgotten."""
        manifest = event_manifest(event, self._instance, self._clock())
        try:
            await self._write(event, manifest)
        except ClusterError as exc:
            log.warning("Event %s about %s was lost: %s", event.reason, event.about.name, exc)

    async def _write(self, event: Event, manifest: Manifest) -> None:
        try:
            await self._cluster.create(manifest, event.reporter)
        except AlreadyExists:
            if event.once is None:
                await self._count_up(event, manifest)

    async def _count_up(self, event: Event, manifest: Manifest) -> None:
        meta = manifest["metadata"]
        # An empty patch reads the Event with the right to patch it: there is none to get it.
        there = await self._cluster.patch(
            EVENT, meta["namespace"], meta["name"], {}, event.reporter
        )
        count = int((there.get("series") or {}).get("count") or 1) + 1
        series = {"count": count, "lastObservedTime": manifest["eventTime"]}
        await self._cluster.patch(
            EVENT, meta["namespace"], meta["name"], {"series": series}, event.reporter
        )


def event_name(event: Event) -> str:
    """Return a name that equal Events share, and Events of one occasion."""
    told = event.once if event.once is not None else f"{event.severity}/{event.message}"
    identity = "\0".join((event.about.uid, event.reason, told))
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return f"{event.about.name[:_NAME_CHARS].rstrip('.-')}.{digest}"


def event_manifest(event: Event, instance: str, now: datetime) -> Manifest:
    """Render the Event; those about cluster-scoped objects live in ``default``."""
    about = event.about
    regarding = {
        "apiVersion": about.kind.api_version,
        "kind": about.kind.kind,
        "name": about.name,
        "uid": about.uid,
    }
    if about.namespace:
        regarding["namespace"] = about.namespace
    note = event.message
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"name": event_name(event), "namespace": about.namespace or "default"},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"dgdr.dev/{event.reporter}",
        "reportingInstance": instance[:128],
        "action": event.action,
        "reason": event.reason,
        "regarding": regarding,
        "note": note if len(note) <= _NOTE_CHARS else f"{note[: _NOTE_CHARS - 3]}...",
        "type": str(event.severity),
    }
