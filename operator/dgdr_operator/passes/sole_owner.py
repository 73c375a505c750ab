"""Passes over objects that are ours alone: of one with a second owner it is said, and no more."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import TypeAdapter, ValidationError

from dgdr_api.models.base import Condition, Conditions
from dgdr_api.names import NAMESPACE_SCOPE_LEASE
from dgdr_kube.errors import NotFound, Rejected
from dgdr_kube.kinds import DEPLOYMENT, DGD, DGDSA, LEASE, Kind
from dgdr_kube.manifests import is_going, ref
from dgdr_kube.namespace_scope import NamespaceScope
from dgdr_kube.pass_record import decided
from dgdr_kube.ports import Event, Key, Manifest, Severity, WatchedCluster
from dgdr_operator.core import routing
from dgdr_operator.core.ownership import (
    OWNERSHIP_CONFLICT,
    held_by,
    holder_of,
    not_held,
    second_owner,
    with_ownership,
)
from dgdr_operator.followed import OF_GRAPH
from dgdr_operator.passes.live import MANAGER, patch_status

Pass = Callable[[Key, datetime], Awaitable[float | None]]

THEIR_FINALIZER = "nvidia.com/finalizer"

LOOK_AGAIN_S = 30.0
# A Lease of ours is about to be had, or the API server does not answer.
SOON_S = 2.0
# A right that is not there may be given.
BARRED_FOR = timedelta(minutes=2)
# A Lease that nobody else holds is had at once; one that was held by a process that died, later.
PATIENCE = timedelta(seconds=60)
_CONDITIONS: TypeAdapter[Conditions] = TypeAdapter(Conditions)


@dataclass
class Owners:
    """Who else reconciles what we do; ``scope`` holds the namespaces that we have taken over."""

    cluster: WatchedCluster
    scope: NamespaceScope | None = None
    _barred_until: dict[str, datetime] = field(default_factory=dict)
    _missed: dict[str, datetime] = field(default_factory=dict)

    def has(self, namespace: str) -> bool:
        """Whether a namespace is ours, as far as that has to be shown to others."""
        return self.scope is None or self.scope.holds(namespace)

    async def of_namespace(self, namespace: str, now: datetime) -> str | None:
        """Say why a namespace is not ours; None where nothing speaks against it."""
        if self.scope is not None and self.scope.holds(namespace):
            self._missed.pop(namespace, None)
            return None
        holder = await self._holder(namespace, now)
        if self.scope is None or holder not in (None, self.scope.holder):
            return None if holder is None else held_by(namespace, holder)
        since = self._missed.setdefault(namespace, now)
        return not_held(namespace) if now - since > PATIENCE else None

    async def _holder(self, namespace: str, now: datetime) -> str | None:
        """Return who holds a namespace; nobody is known to where Leases may not be read."""
        if now < self._barred_until.get(namespace, now):
            return None
        try:
            lease = await self.cluster.look(LEASE, namespace, NAMESPACE_SCOPE_LEASE)
        except Rejected:
            self._barred_until[namespace] = now + BARRED_FOR
            return None
        return holder_of(lease, now)

    async def second(self, kind: Kind, manifest: Manifest, now: datetime) -> str | None:
        """Say why an object has another owner; None where none is seen."""
        namespace = manifest["metadata"]["namespace"]
        if (why := await self.of_namespace(namespace, now)) is not None:
            return why
        graphs = {DGD: routing.itself, DGDSA: routing.graph_of_adapter}.get(kind)
        for graph in graphs(manifest) if graphs else ():
            found = await self.cluster.find(DEPLOYMENT, namespace, OF_GRAPH, graph.name)
            return second_owner(found)
        return None


@dataclass(frozen=True)
class SoleOwner:
    """A pass over one kind, which runs where nobody else reconciles the object."""

    run: Pass
    kind: Kind
    cluster: WatchedCluster
    owners: Owners

    async def __call__(self, key: Key, now: datetime) -> float | None:
        """Run the pass, or say why not; returns the seconds after which to look again."""
        manifest = await self.cluster.look(self.kind, key.namespace, key.name)
        if manifest is None:
            return await self.run(key, now)
        why = await self.owners.second(self.kind, manifest, now)
        if why is None and not self.owners.has(key.namespace):
            decided("AwaitLease")
            return SOON_S
        await self._say(manifest, why, now)
        if why is None:
            await self._let_go(manifest)
            return await self.run(key, now)
        decided(OWNERSHIP_CONFLICT)
        return LOOK_AGAIN_S

    async def _let_go(self, manifest: Manifest) -> None:
        """Take NVIDIA's finalizer from what goes in a namespace that was taken over.

        Its operator, which only logs there, leaves the namespace alone, and the object would stay.
        """
        meta = manifest["metadata"]
        kept = [one for one in meta.get("finalizers") or () if one != THEIR_FINALIZER]
        is_theirs = kept != (meta.get("finalizers") or [])
        if self.owners.scope is None or not is_going(manifest) or not is_theirs:
            return
        patch = {"metadata": {"finalizers": kept or None}}
        where = meta["namespace"], meta["name"]
        with suppress(NotFound):
            await self.cluster.patch(self.kind, *where, patch, MANAGER, meta["resourceVersion"])

    async def _say(self, manifest: Manifest, why: str | None, now: datetime) -> None:
        """Write the condition, and an Event, where it is news."""
        old = _conditions(manifest)
        if old is None:
            return
        new = with_ownership(old, why, now, manifest["metadata"].get("generation", 1))
        if new == old:
            return
        patch = {"conditions": [one.to_json() for one in new]}
        told = await patch_status(self.cluster, self.kind, manifest, patch)
        if told is not None and why is not None:
            event = Event(
                about=ref(manifest),
                reason=OWNERSHIP_CONFLICT,
                message=why,
                severity=Severity.WARNING,
                once=why,
            )
            await self.cluster.emit(event)


def _conditions(manifest: Manifest) -> tuple[Condition, ...] | None:
    """Read the conditions; None where somebody wrote some in another shape, which stay."""
    try:
        return _CONDITIONS.validate_python((manifest.get("status") or {}).get("conditions") or ())
    except ValidationError:
        return None
