"""A cluster that remembers what a watch told, and what this process wrote."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from dgdr_kube import pass_record
from dgdr_kube.calls import Verb
from dgdr_kube.errors import Unreachable
from dgdr_kube.index import Index
from dgdr_kube.kinds import Kind, kind_of
from dgdr_kube.ports import Cluster, Event, Kept, Key, Manifest, Manifests, whole
from dgdr_kube.store import UNSURE, Store, Unsure, key_of, version_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RememberingCluster:
    """Implements ``ports.WatchedCluster``: ``look`` and ``find`` from stores, all else is asked.

    A kind may have several stores, each of objects with another label. A write that nobody
    answered may have happened: its object is asked for until it changes, or clearly has not.
    ``asks`` makes it look at the API server all the same; the stores learn from the answers.
    """

    cluster: Cluster
    stores: Mapping[Kind, Sequence[Store]]
    asks: bool = False
    clock: Callable[[], float] = time.monotonic

    @property
    def fresh(self) -> "RememberingCluster":
        """The same cluster, where ``look`` and ``find`` ask the API server."""
        return replace(self, asks=True)

    async def look(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return an object as the watch told of it, or as ``get`` does."""
        stores = () if self.asks else self.stores.get(kind, ())
        found = [store.look(Key(namespace or "", name)) for store in stores]
        there = next((one for one in found if isinstance(one, dict)), None)
        if there is None and (not found or any(isinstance(one, Unsure) for one in found)):
            return await self.get(kind, namespace, name)
        return there

    async def find(
        self, kind: Kind, namespace: str | None, index: Index | None = None, value: str = ""
    ) -> Manifests:
        """Return the objects of a namespace that are filed under a value, or all."""
        kept: Kept = whole
        for store in self.stores.get(kind, ()):
            if index is not None and index not in store.indices:
                continue
            found = UNSURE if self.asks else store.find(namespace, index, value)
            if not isinstance(found, Unsure):
                return found
            kept = store.kept
        label, began_s = index and index.label, self.clock()
        listed = await self.list(kind, namespace, {label: value} if label else None, kept=kept)
        for store in self.stores.get(kind, ()):
            for one in listed:
                store.settle(key_of(one), version_of(one), began_s)
        return [one for one in listed if index is None or value in index.values(one)]

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Read one object; None when it is not there."""
        began_s = self.clock()
        found = await self.cluster.get(kind, namespace, name)
        if found is not None:
            for store in self.stores.get(kind, ()):
                store.read(Key(namespace or "", name), found, began_s)
        return found

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        labels: Mapping[str, str] | None = None,
        *,
        kept: Kept = whole,
    ) -> Manifests:
        """Read all objects of a namespace (None: of all namespaces) that carry these labels."""
        return await self.cluster.list(kind, namespace, labels, kept=kept)

    async def create(self, manifest: Manifest, manager: str) -> Manifest:
        """Create; raises AlreadyExists, Rejected."""
        meta, kind = manifest["metadata"], kind_of(manifest)
        write = self.cluster.create(manifest, manager)
        return await self._noted(Verb.CREATE, kind, meta.get("namespace"), meta["name"], write)

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
        return await self._noted(Verb.APPLY, kind, meta.get("namespace"), meta["name"], write)

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
        return await self._noted(Verb.PATCH, kind, namespace, name, write)

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
        return await self._noted(Verb.PATCH_STATUS, kind, namespace, name, write)

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
        await self._noted(Verb.SCALE, kind, namespace, name, write, resource_version)

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str | None = None
    ) -> bool:
        """Delete with its dependents in the background; False when it was gone already."""
        write = self.cluster.delete(kind, namespace, name, uid)
        return await self._noted(Verb.DELETE, kind, namespace, name, write)

    async def emit(self, event: Event) -> None:
        """Show an Event; a lost Event is logged, never raised."""
        await self.cluster.emit(event)

    async def _noted(
        self,
        verb: Verb,
        kind: Kind,
        namespace: str | None,
        name: str,
        write: Awaitable[T],
        before: str | None = None,
    ) -> T:
        key = Key(namespace or "", name)
        try:
            result = await write
        except Unreachable:
            self._wrote(kind, key, None)
            pass_record.wrote(verb, kind, name, is_certain=False)
            raise
        pass_record.wrote(verb, kind, name)
        self._wrote(kind, key, result if isinstance(result, dict) else None, before)
        return result

    def _wrote(
        self, kind: Kind, key: Key, result: Manifest | None, before: str | None = None
    ) -> None:
        for store in self.stores.get(kind, ()):
            store.wrote(key, result, before, self.clock())
