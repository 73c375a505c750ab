"""What a controller may ask of a cluster; ``client`` answers it, and tests have a fake."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Protocol, TypeVar

from dgdr_kube.kinds import Kind

if TYPE_CHECKING:
    from dgdr_kube.index import Index

T = TypeVar("T")

Manifest = dict[str, Any]
"""One Kubernetes object as JSON; passes validate it into a model at their door."""

Manifests = list[Manifest]

Kept = Callable[[Manifest], Manifest]
"""Takes off what nobody needs as soon as an object arrives: 5,000 whole nodes take 310 MiB."""


def whole(manifest: Manifest) -> Manifest:
    """Return an object as it is: all of it is kept."""
    return manifest


class Key(NamedTuple):
    """Which object a pass is about; the queue says of which kind."""

    namespace: str
    name: str


class Severity(StrEnum):
    """The two types of Event that Kubernetes knows."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """The object that an Event is about."""

    kind: Kind
    namespace: str | None
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that a user should see in ``kubectl describe``.

    Events about the same object with the same reason and message are one object whose count
    rises. With ``once`` a repetition changes nothing: ``once`` is the occasion, such as
    ``generation-3``, and another occasion is another Event.
    """

    about: ObjectRef
    reason: str
    message: str
    severity: Severity = Severity.NORMAL
    action: str = "Reconcile"
    reporter: str = "dgdr-operator"
    once: str | None = None


class Cluster(Protocol):
    """A Kubernetes API server; every method raises ``errors.ClusterError`` and nothing else."""

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Read one object; None when it is not there."""
        ...

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        labels: Mapping[str, str] | None = None,
        *,
        kept: Kept = whole,
    ) -> Manifests:
        """Read all objects of a namespace (None: of all namespaces) that carry these labels."""
        ...

    async def create(self, manifest: Manifest, manager: str) -> Manifest:
        """Create; raises AlreadyExists, Rejected."""
        ...

    async def apply(
        self,
        manifest: Manifest,
        manager: str,
        force: bool = True,
        resource_version: str | None = None,
    ) -> Manifest:
        """Server-side apply: what this manager applied before and leaves out now is removed.

        Raises Conflict when another version is there.
        """
        ...

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
        ...

    async def patch_status(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        status: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        """Merge-patch the status subresource: absent keys stay, null removes.

        Raises NotFound, and Conflict when another version is there.
        """
        ...

    async def scale(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        replicas: int,
        manager: str,
        resource_version: str | None = None,
    ) -> None:
        """Write the scale subresource; raises NotFound, Conflict."""
        ...

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str | None = None
    ) -> bool:
        """Delete with its dependents in the background; False when it was gone already.

        With ``uid`` a newer object of the same name is left alone, which reads as gone.
        """
        ...

    async def emit(self, event: Event) -> None:
        """Show an Event; a lost Event is logged, never raised."""
        ...


class WatchedCluster(Cluster, Protocol):
    """A cluster some kinds of which are watched, so that to look at them costs nothing."""

    async def look(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Return an object as the watch told of it, moments ago, or as ``get`` does.

        Never older than this process's own writes. Shared: nobody may change it. What is written
        because of it has to carry its version, or to be decided again after a ``get``. Of a kind
        that is watched by a label, objects without it read as absent.
        """
        ...

    async def find(
        self,
        kind: Kind,
        namespace: str | None,
        index: "Index | None" = None,
        value: str = "",
    ) -> Manifests:
        """Return the objects of a namespace (None: of all) that are filed under a value, or all.

        As ``look`` does: without a question to the API server where the watch has told of them.
        """
        ...

    @property
    def fresh(self) -> "WatchedCluster":
        """The same cluster, where ``look`` and ``find`` ask the API server."""
        ...


class ChangeType(StrEnum):
    """What a watch tells."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"
    """Nothing but the version up to which everything was told."""


class Change(NamedTuple):
    """One line of a watch; a deleted object is told as it was, with the version of its end."""

    type: ChangeType
    manifest: Manifest

    @property
    def version(self) -> str:
        """Where a watch goes on after this."""
        return str(self.manifest["metadata"]["resourceVersion"])


class Listing(NamedTuple, Generic[T]):
    """All objects of a collection at one version, as they are kept."""

    items: list[T]
    version: str


class Watching(Protocol):
    """Collections and what becomes of them; raises ``errors.ClusterError`` and nothing else."""

    async def listing(
        self,
        kind: Kind,
        namespace: str | None,
        labels: str = "",
        *,
        kept: Callable[[Manifest], T],
    ) -> Listing[T]:
        """Read a collection (None: of all namespaces) as it is now.

        ``labels`` is a selector: the server tells of nothing else.
        """
        ...

    def watch(
        self, kind: Kind, namespace: str | None, version: str, labels: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Tell what changes after a version; ends now and then, to be asked again.

        Raises Expired where the version is too old: list again.
        """
        ...
