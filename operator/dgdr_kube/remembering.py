"""A cluster that remembers what a watch told, and what this process wrote."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from dgdr_kube.errors import Unreachable
from dgdr_kube.kinds import Kind, kind_of
from dgdr_kube.ports import Cluster, Event, Key, Manifest, Manifests
from dgdr_kube.store import Store, Unsure

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RememberingCluster:
    """Implements ``ports.WatchedCluster``: ``look`` from stores, all else from the API server.

    A write that nobody answered may have happened: its object is asked for until it changes.
    """

    cluster: Cluster
    stores: Mapping[Kind, Store]

    async def look(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        """Return an object as the watch told of it, or as ``get`` does."""
        store = self.stores.get(kind)
        found = None if store is None else store.look(Key(namespace, name))
        if store is None or isinstance(found, Unsure):
            return await self.get(kind, namespace, name)
        return found

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Read one object; None when it is not there."""
        found = await self.cluster.get(kind, namespace, name)
        store = self.stores.get(kind)
        if store is not None and namespace is not None and found is not None:
            store.read(Key(namespace, name), found)
        return found

    async def list(
        self, kind: Kind, namespace: str | None, labels: Mapping[str, str] | None = None
    ) -> Manifests:
        """Read all objects of a namespace (None: of all namespaces) that carry these labels."""
        return await self.cluster.list(kind, namespace, labels)

    async def create(self, manifest: Manifest, manager: str) -> Manifest:
        """Create; raises AlreadyExists, Rejected."""
        return await self.cluster.create(manifest, manager)

    async def apply(
        self,
        manifest: Manifest,
        manager: str,
        force: bool = True,
        resource_version: str | None = None,
    ) -> Manifest:
        """Server-side apply."""
        meta, kind = manifest["metadata"], kind_of(manifest)
        write = self.cluster.apply(manifest, manager, force, resource_version)
        return await self._noted(kind, meta.get("namespace"), meta["name"], write)

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        """Merge-patch; raises NotFound, and Conflict when another version is there."""
        write = self.cluster.patch(kind, namespace, name, patch, manager, resource_version)
        return await self._noted(kind, namespace, name, write)

    async def patch_status(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        status: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        """Merge-patch the status subresource; raises NotFound, Conflict."""
        write = self.cluster.patch_status(kind, namespace, name, status, manager, resource_version)
        return await self._noted(kind, namespace, name, write)

    async def scale(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        replicas: int,
        manager: str,
        resource_version: str | None = None,
    ) -> None:
        """Write the scale subresource, which answers with another kind; NotFound, Conflict."""
        write = self.cluster.scale(kind, namespace, name, replicas, manager, resource_version)
        await self._noted(kind, namespace, name, write, resource_version)

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str | None = None
    ) -> bool:
        """Delete with its dependents in the background; False when it was gone already."""
        return await self._noted(
            kind, namespace, name, self.cluster.delete(kind, namespace, name, uid)
        )

    async def emit(self, event: Event) -> None:
        """Show an Event; a lost Event is logged, never raised."""
        await self.cluster.emit(event)

    async def _noted(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        write: Awaitable[T],
        before: str | None = None,
    ) -> T:
        store = self.stores.get(kind)
        if store is None or namespace is None:
            return await write
        key = Key(namespace, name)
        try:
            result = await write
        except Unreachable:
            store.wrote(key, None)
            raise
        store.wrote(key, result if isinstance(result, dict) else None, before)
        return result
