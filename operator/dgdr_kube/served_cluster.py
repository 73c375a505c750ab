"""A cluster that keeps some kinds in another group or version than the programs name them in.

Objects of v1alpha1 are read and written through our own conversion, as an API server's webhook
would: what v1beta1 cannot say stays in the object, and an edit changes what it edits.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol, TypeVar

from dgdr_api.conversion import ALPHA, BETA, converted
from dgdr_kube.errors import Conflict, NotFound
from dgdr_kube.kinds import Kind, kind_of
from dgdr_kube.manifests import merge_patch
from dgdr_kube.ports import (
    Change,
    ChangeType,
    Cluster,
    Event,
    Kept,
    Listing,
    Manifest,
    Manifests,
    Watching,
    whole,
)
from dgdr_kube.served import Served

T = TypeVar("T")


class _Whole(Cluster, Watching, Protocol):
    """A cluster that also tells of changes."""


def through(cluster: _Whole, served: Served) -> _Whole:
    """Return the cluster as the programs name its kinds."""
    return ServedCluster(cluster, served) if served.places else cluster


class ServedCluster:
    """Implements ``ports.Cluster`` and ``ports.Watching`` over one that knows the real places."""

    def __init__(self, cluster: _Whole, served: Served) -> None:
        self._cluster = cluster
        self._served = served

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Read one object; None when it is not there."""
        if kind in self._served.absent:
            return None
        found = await self._cluster.get(self._served.of(kind), namespace, name)
        return None if found is None else self._inward(kind, found)

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        labels: Mapping[str, str] | None = None,
        *,
        kept: Kept = whole,
    ) -> Manifests:
        """Read all objects of a namespace (None: of all namespaces) that carry these labels."""
        return await self._cluster.list(
            self._served.of(kind), namespace, labels, kept=lambda one: kept(self._inward(kind, one))
        )

    async def listing(
        self,
        kind: Kind,
        namespace: str | None,
        labels: str = "",
        *,
        kept: Callable[[Manifest], T],
    ) -> Listing[T]:
        """Read a collection (None: of all namespaces) as it is now."""
        return await self._cluster.listing(
            self._served.of(kind), namespace, labels, kept=lambda one: kept(self._inward(kind, one))
        )

    def watch(
        self, kind: Kind, namespace: str | None, version: str, labels: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Tell what changes after a version; raises Expired where that is too old."""
        return self._watch(kind, namespace, version, labels)

    @asynccontextmanager
    async def _watch(
        self, kind: Kind, namespace: str | None, version: str, labels: str
    ) -> AsyncIterator[AsyncIterator[Change]]:
        place = self._served.of(kind)
        async with self._cluster.watch(place, namespace, version, labels) as changes:
            yield (self._told(kind, change) async for change in changes)

    def _told(self, kind: Kind, change: Change) -> Change:
        if change.type is ChangeType.BOOKMARK:
            return change
        return Change(change.type, self._inward(kind, change.manifest))

    async def create(self, manifest: Manifest, manager: str) -> Manifest:
        """Create; raises AlreadyExists, Rejected."""
        kind = kind_of(manifest)
        made = await self._cluster.create(self._outward(kind, manifest), manager)
        return self._inward(kind, made)

    async def apply(
        self,
        manifest: Manifest,
        manager: str,
        force: bool = True,
        resource_version: str | None = None,
    ) -> Manifest:
        """Server-side apply."""
        kind, body = kind_of(manifest), self._outward(kind_of(manifest), manifest)
        return self._inward(kind, await self._cluster.apply(body, manager, force, resource_version))

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        """Merge-patch: of an object in another version, what the patch changes of it there."""
        place = self._served.of(kind)
        if place.version == kind.version:
            return await self._cluster.patch(
                place, namespace, name, patch, manager, resource_version
            )
        live = await self._cluster.get(place, namespace, name)
        if live is None:
            raise NotFound(f"{kind.kind} {name} is not there")
        version = str(live["metadata"]["resourceVersion"])
        if resource_version not in (None, version):
            raise Conflict(f"{kind.kind} {name} changed since it was read")
        wanted = self._outward(kind, merged(self._inward(kind, live), patch))
        difference = merge_patch(live, wanted)
        if not difference:
            return self._inward(kind, live)
        made = await self._cluster.patch(place, namespace, name, difference, manager, version)
        return self._inward(kind, made)

    async def patch_status(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        status: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        """Merge-patch the status subresource, of kinds that we report on: those are in v1beta1."""
        place = self._served.of(kind)
        if place.version != kind.version:
            raise NotImplementedError(f"the status of {place.kind} {place.version} is another's")
        return await self._cluster.patch_status(
            place, namespace, name, status, manager, resource_version
        )

    async def scale(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        replicas: int,
        manager: str,
        resource_version: str | None = None,
    ) -> None:
        """Write the scale subresource, which is the same in all versions."""
        place = self._served.of(kind)
        await self._cluster.scale(place, namespace, name, replicas, manager, resource_version)

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str | None = None
    ) -> bool:
        """Delete with its dependents in the background; False when it was gone already."""
        return await self._cluster.delete(self._served.of(kind), namespace, name, uid)

    async def emit(self, event: Event) -> None:
        """Show an Event; a lost Event is logged, never raised."""
        await self._cluster.emit(event)

    def _inward(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Return an object as the programs read it."""
        if self._served.of(kind).version == kind.version:
            return manifest
        own = {"apiVersion": ALPHA, "kind": kind.kind, **manifest}
        return converted(own, BETA)

    def _outward(self, kind: Kind, manifest: Manifest) -> Manifest:
        """Return an object as the API server keeps it."""
        owned = self._with_owners(manifest)
        if self._served.of(kind).version == kind.version:
            return owned
        return converted(owned, ALPHA)

    def _with_owners(self, manifest: Manifest) -> Manifest:
        """Return an object whose owners garbage collection finds."""
        meta = manifest["metadata"]
        owners = meta.get("ownerReferences")
        if not owners:
            return manifest
        moved = {
            (kind.api_version, kind.kind): place.api_version
            for kind, place in self._served.places.items()
        }
        there = [
            {**one, "apiVersion": moved.get((one["apiVersion"], one["kind"]), one["apiVersion"])}
            for one in owners
        ]
        return {**manifest, "metadata": {**meta, "ownerReferences": there}}


def merged(live: Manifest, patch: Manifest) -> Manifest:
    """Return what a JSON merge patch (RFC 7386) makes of an object."""
    made = {key: value for key, value in live.items() if key not in patch}
    for key, value in patch.items():
        if value is None:
            continue
        before = live.get(key)
        nested = isinstance(value, Mapping)
        made[key] = (
            merged(before if isinstance(before, dict) else {}, dict(value)) if nested else value
        )
    return made
