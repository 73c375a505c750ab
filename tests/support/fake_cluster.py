"""An in-memory API server with what our passes rely on: versions, generations, the status split,
field ownership of server-side apply, preconditions, admission and garbage collection.

What it admits and fills in is in ``fake_admission``, how it is watched in ``fake_watches``. That it
answers as a real server does is seen in ``tests/integration/test_fake_conforms.py``.

    cluster = FakeCluster()
    cluster.seed(dgdr)                        # with status, as it is
    cluster.kill_after_writes = 3             # the fourth write raises Killed
    cluster.refuse("list", NODE, Rejected(403, "nodes is forbidden"))
    assert cluster.writes == []               # what was written since the start, in order
    cluster.collects_at_once = False          # dependents and pods go when ``collect`` says so
    cluster.admits_all = True                 # as under CRDs of another version
"""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dgdr_kube.errors import AlreadyExists, Conflict, NotFound, Rejected
from dgdr_kube.index import Index
from dgdr_kube.kinds import (
    CRD,
    DEPLOYMENT,
    DGD,
    DGDR,
    DGDSA,
    EVENT,
    GPU_BUDGET,
    JOB,
    LEADER_WORKER_SET,
    NODE,
    POD,
    PVC,
    SLA_PLANNER,
    Kind,
    kind_of,
)
from dgdr_kube.ports import ChangeType, Event, Kept, Manifest, Manifests, whole

from .fake_admission import admitted, check_size
from .field_sets import Path, fields_v1, leaves, merge_patched, merged, value_at, without

Address = tuple[Kind, str | None, str]
Listener = Callable[[ChangeType, Kind, Manifest, str], None]
"""Hears what happened to an object, the object after it (before it, if it is gone), and by whom."""
WITH_STATUS = frozenset(
    {
        DGDR,
        DGD,
        DGDSA,
        SLA_PLANNER,
        GPU_BUDGET,
        DEPLOYMENT,
        LEADER_WORKER_SET,
        JOB,
        POD,
        PVC,
        NODE,
        CRD,
    }
)
# Set by the server or naming the object: nobody owns them.
_UNOWNED = {
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink",
}  # fmt: skip


class Killed(BaseException):
    """The process ends here, as after SIGKILL; no ``except Exception`` must survive it."""


@dataclass(frozen=True, slots=True)
class Write:
    """One change that reached the server."""

    verb: str
    kind: str
    name: str
    manager: str = ""


@dataclass
class _Stored:
    manifest: Manifest
    owners: dict[tuple[str, str], set[Path]] = field(default_factory=dict)
    version: str = ""
    json: str = ""


class FakeCluster:
    """Implements ``dgdr_kube.ports.WatchedCluster``."""

    def __init__(self, now: datetime = datetime(2025, 1, 1, tzinfo=UTC)) -> None:
        self.now = now
        self.writes: list[Write] = []
        self.calls: set[tuple[str, Kind]] = set()
        self.events: list[Event] = []
        self.kill_after_writes: int | None = None
        self.collects_at_once = True
        self.admits_all = False
        self.listeners: list[Listener] = []
        self._objects: dict[Address, _Stored] = {}
        self._refusals: dict[tuple[str, Kind], Exception] = {}
        self._version = 0
        self._uids = 0
        self._once: set[tuple[str, str, str]] = set()

    # -- for tests

    def seed(self, *manifests: Manifest) -> Manifest:
        """Put objects there as they are, status included; returns the last one as stored."""
        out: Manifest = {}
        for manifest in manifests:
            address = self.address(manifest)
            self._objects[address] = _Stored(self._born(copy.deepcopy(manifest)))
            self._tell(ChangeType.ADDED, address, "seed")
            out = self.peek(*address) or {}
        return out

    def peek(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        """Read without being a client."""
        stored = self._objects.get((kind, namespace, name))
        return copy.deepcopy(stored.manifest) if stored else None

    def everything(self) -> dict[str, Manifest]:
        """All objects by ``Kind/namespace/name``."""
        return {
            f"{kind.kind}/{namespace}/{name}": copy.deepcopy(stored.manifest)
            for (kind, namespace, name), stored in sorted(
                self._objects.items(),
                key=lambda item: (item[0][0].kind, item[0][1] or "", item[0][2]),
            )
        }

    def told(self) -> Manifests:
        """All objects, as a watch tells of them."""
        return [_told(stored) for stored in self._objects.values()]

    @property
    def version(self) -> int:
        """The newest version that was given out."""
        return self._version

    def text(self, manifest: Manifest) -> str:
        """Return an object that was just told of, as JSON."""
        return self._objects[self.address(manifest)].json

    def set_status(self, kind: Kind, namespace: str | None, name: str, status: Manifest) -> None:
        """Be the controller that reports this status, replacing the old one."""
        stored = self._must(kind, namespace, name)
        stored.manifest = {**stored.manifest, "status": copy.deepcopy(status)}
        self._touch(stored.manifest)
        self._tell(ChangeType.MODIFIED, (kind, namespace, name), "its controller")

    def new_uid(self, manifest: Manifest) -> str:
        """Return the uid of an object that is made now."""
        self._uids += 1
        return f"uid-{self._uids}"

    def drop(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Delete an object, as anybody may; one that is gone already stays gone."""
        if (kind, namespace, name) in self._objects:
            self._delete((kind, namespace, name))

    def vanish(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Be the kubelet, or whoever has the last word: the object is gone now."""
        if (kind, namespace, name) in self._objects:
            self._remove((kind, namespace, name))

    def of(self, kind: Kind) -> Manifests:
        """All objects of a kind as they are; read only."""
        return [stored.manifest for (k, *_), stored in self._objects.items() if k == kind]

    def collect(self) -> bool:
        """Be the garbage collector, once around; returns whether there was something to do."""
        alive = {stored.manifest["metadata"]["uid"] for stored in self._objects.values()}
        found = False
        for address, stored in [*self._objects.items()]:
            meta = stored.manifest["metadata"]
            owners = meta.get("ownerReferences") or []
            left = [owner for owner in owners if owner["uid"] in alive]
            if len(left) == len(owners) or address not in self._objects:
                continue
            if not left and "deletionTimestamp" not in meta:
                self._delete(address)
                found = True
            elif left:
                meta["ownerReferences"] = left
                self._touch(stored.manifest)
                self._tell(ChangeType.MODIFIED, address, "garbage collector")
                found = True
        return found

    def refuse(self, verb: str, kind: Kind, error: Exception | None) -> None:
        """Answer this verb on this kind with an error; None: no longer."""
        self._refusals.pop((verb, kind), None)
        if error is not None:
            self._refusals[verb, kind] = error

    def managers(self, kind: Kind, namespace: str | None, name: str, *path: Any) -> set[str]:
        """Return who owns the field at this path, or anything below it."""
        stored = self._must(kind, namespace, name)
        return {
            manager
            for (manager, _), paths in stored.owners.items()
            if any(p[: len(path)] == path for p in paths)
        }

    # -- Cluster

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        self._check("get", kind)
        stored = self._objects.get((kind, namespace, name))
        return _told(stored) if stored else None

    async def look(self, kind: Kind, namespace: str | None, name: str) -> Manifest | None:
        return await self.get(kind, namespace, name)

    async def find(
        self, kind: Kind, namespace: str | None, index: Index | None = None, value: str = ""
    ) -> Manifests:
        listed = await self.list(kind, namespace)
        return [found for found in listed if index is None or value in index.values(found)]

    @property
    def fresh(self) -> "FakeCluster":
        return self

    async def list(
        self,
        kind: Kind,
        namespace: str | None,
        labels: Mapping[str, str] | None = None,
        *,
        kept: Kept = whole,
    ) -> Manifests:
        self._check("list", kind)
        wanted = dict(labels or {})
        return [
            kept(_told(stored))
            for (k, ns, _), stored in sorted(self._objects.items(), key=lambda i: str(i[0][1:]))
            if k == kind
            and namespace in (None, ns)
            and wanted.items() <= (stored.manifest["metadata"].get("labels") or {}).items()
        ]

    async def create(self, manifest: Manifest, manager: str) -> Manifest:
        address = self.address(manifest)
        self._check("create", address[0])
        if address in self._objects:
            raise AlreadyExists(f"{address[0].plural} {address[2]!r} already exists")
        return self._create("create", address, manifest, (manager, "Update"))

    async def apply(
        self,
        manifest: Manifest,
        manager: str,
        force: bool = True,
        resource_version: str | None = None,
    ) -> Manifest:
        address = self.address(manifest)
        self._check("apply", address[0])
        stored = self._objects.get(address)
        if stored is None:
            self.calls.add(("create", address[0]))
            if manifest["metadata"].get("uid"):
                raise Conflict(f"{address[2]!r}: uid mismatch, no existing object was found")
            return self._create("apply", address, manifest, (manager, "Apply"))
        _check_version(stored.manifest, resource_version)
        if manifest["metadata"].get("uid") not in (None, stored.manifest["metadata"]["uid"]):
            raise Rejected(422, f"{address[2]!r}: metadata.uid: field is immutable")
        wanted = _without_status(address[0], _plain(manifest))
        owners, after = _applied(stored, wanted, manager, force)
        after = self._admitted(address[0], after, stored.manifest)
        if after != stored.manifest or owners != stored.owners:
            self._write("apply", address, manager)
            stored.owners = owners
            self._replace(stored, after, manager)
        return _told(stored)

    async def patch(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        patch: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        self._check("patch", kind)
        stored = self._must(kind, namespace, name)
        _check_version(stored.manifest, resource_version)
        changes = _without_status(kind, _plain(patch))
        self._update(stored, merge_patched(stored.manifest, changes), manager, "patch")
        return _told(stored)

    async def patch_status(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        status: Manifest,
        manager: str,
        resource_version: str | None = None,
    ) -> Manifest:
        self._check("patch_status", kind)
        stored = self._must(kind, namespace, name)
        _check_version(stored.manifest, resource_version)
        changes = {"status": _plain(status)}
        self._update(stored, merge_patched(stored.manifest, changes), manager, "patch_status")
        return _told(stored)

    async def scale(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        replicas: int,
        manager: str,
        resource_version: str | None = None,
    ) -> None:
        self._check("scale", kind)
        stored = self._must(kind, namespace, name)
        _check_version(stored.manifest, resource_version)
        changes = {"spec": {"replicas": replicas}}
        self._update(stored, merge_patched(stored.manifest, changes), manager, "scale")

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str | None = None
    ) -> bool:
        self._check("delete", kind)
        stored = self._objects.get((kind, namespace, name))
        if stored is None or uid not in (None, stored.manifest["metadata"]["uid"]):
            return False
        self._write("delete", (kind, namespace, name), "")
        self._delete((kind, namespace, name))
        return True

    async def emit(self, event: Event) -> None:
        self.calls |= {("create", EVENT), ("patch", EVENT)}
        if event.once is not None:
            occasion = (event.about.uid, event.reason, event.once)
            if occasion in self._once:
                return
            self._once.add(occasion)
        self.events.append(event)

    # -- inside

    def _create(
        self, verb: str, address: Address, manifest: Manifest, who: tuple[str, str]
    ) -> Manifest:
        check_size(manifest)
        wanted = self._born(_without_status(address[0], _plain(manifest)), fresh=True)
        body = self._admitted(address[0], wanted, None)
        self._write(verb, address, who[0])
        stored = self._objects[address] = _Stored(body, {who: _owned(wanted) & leaves(body)})
        self._tell(ChangeType.ADDED, address, who[0])
        return _told(stored)

    def _admitted(self, kind: Kind, new: Manifest, old: Manifest | None) -> Manifest:
        return new if self.admits_all else admitted(kind, new, old)

    def address(self, manifest: Manifest) -> Address:
        kind = kind_of(manifest)
        meta = manifest["metadata"]
        namespace = meta.get("namespace")
        if kind.namespaced and not namespace:
            raise Rejected(400, f"{kind.kind} {meta['name']!r} has no namespace")
        return kind, namespace if kind.namespaced else None, meta["name"]

    def _must(self, kind: Kind, namespace: str | None, name: str) -> _Stored:
        stored = self._objects.get((kind, namespace, name))
        if stored is None:
            raise NotFound(f"{kind.plural} {name!r} not found")
        return stored

    def _check(self, verb: str, kind: Kind) -> None:
        self.calls.add((verb, kind))
        error = self._refusals.get((verb, kind))
        if error is not None:
            raise error

    def _write(self, verb: str, address: Address, manager: str) -> None:
        if self.kill_after_writes is not None:
            if self.kill_after_writes <= 0:
                raise Killed
            self.kill_after_writes -= 1
        self.writes.append(Write(verb, address[0].kind, address[2], manager))

    def _born(self, manifest: Manifest, *, fresh: bool = False) -> Manifest:
        meta = manifest["metadata"] = dict(manifest["metadata"])
        if fresh:
            meta.pop("uid", None)
            meta.pop("resourceVersion", None)
        if "uid" not in meta:
            meta["uid"] = self.new_uid(manifest)
        meta.setdefault("generation", 1)
        meta.setdefault("creationTimestamp", self.now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        self._touch(manifest)
        return manifest

    def _touch(self, manifest: Manifest) -> None:
        self._version += 1
        manifest["metadata"]["resourceVersion"] = str(self._version)

    def _tell(self, change: ChangeType, address: Address, who: str) -> None:
        if self.listeners:
            told = _told(self._objects[address])
            for listener in self.listeners:
                listener(change, address[0], told, who)

    def _replace(self, stored: _Stored, after: Manifest, manager: str) -> None:
        ignored = ("metadata", "status")
        before = {k: v for k, v in stored.manifest.items() if k not in ignored}
        changed = {k: v for k, v in after.items() if k not in ignored} != before
        after["metadata"]["generation"] = stored.manifest["metadata"]["generation"] + changed
        self._touch(after)
        stored.manifest = after
        self._tell(ChangeType.MODIFIED, self.address(after), manager)
        meta = after["metadata"]
        if "deletionTimestamp" in meta and not meta.get("finalizers") and after["kind"] != "Pod":
            self._remove(self.address(after))

    def _update(self, stored: _Stored, after: Manifest, manager: str, verb: str) -> None:
        before = stored.manifest
        address = self.address(before)
        after = self._admitted(address[0], after, before)
        if after == before:
            return
        self._write(verb, address, manager)
        after["metadata"] = {**after["metadata"]}
        parts = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        new = {key: after[key] for key in parts if key in after}
        present = leaves(new) if new else set()
        changed = {p for p in _owned(new) if value_at(after, p) != value_at(before, p)}
        for paths in stored.owners.values():
            paths -= changed
            paths -= {p for p in paths if p[0] in parts and p not in present}
        stored.owners.setdefault((manager, "Update"), set()).update(changed)
        self._replace(stored, after, manager)

    def _delete(self, address: Address) -> None:
        """Remove an object, or have it wait: for its finalizers, or a pod for its kubelet."""
        stored = self._objects[address]
        meta = stored.manifest["metadata"]
        ends_later = address[0] == POD and not self.collects_at_once
        if not (meta.get("finalizers") or ends_later):
            self._remove(address)
        elif "deletionTimestamp" not in meta:
            meta["deletionTimestamp"] = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
            self._touch(stored.manifest)
            self._tell(ChangeType.MODIFIED, address, "")

    def _remove(self, address: Address) -> None:
        stored = self._objects[address]
        self._touch(stored.manifest)
        self._tell(ChangeType.DELETED, address, "")
        del self._objects[address]
        if not self.collects_at_once:
            return
        uid = stored.manifest["metadata"]["uid"]
        for child, held in list(self._objects.items()):
            owners = held.manifest["metadata"].get("ownerReferences") or []
            left = [owner for owner in owners if owner["uid"] != uid]
            if len(left) == len(owners) or child not in self._objects:
                continue
            if left:
                held.manifest["metadata"]["ownerReferences"] = left
            else:
                self._delete(child)


def _told(stored: _Stored) -> Manifest:
    """Return an object as a client reads it: with who wrote what."""
    version = stored.manifest["metadata"]["resourceVersion"]
    if stored.version != version or not stored.json:
        manifest = {**stored.manifest, "metadata": {**stored.manifest["metadata"]}}
        managers = [
            {"manager": who, "operation": how, "fieldsV1": fields_v1(frozenset(paths))}
            | ({"subresource": "status"} if all(p[0] == "status" for p in paths) else {})
            for (who, how), paths in sorted(stored.owners.items())
            if paths
        ]
        if managers:
            manifest["metadata"].setdefault("managedFields", managers)
        stored.version, stored.json = version, json.dumps(manifest)
    told: Manifest = json.loads(stored.json)
    return told


def _plain(manifest: Manifest) -> Manifest:
    """Return a body as it arrives: JSON, and nothing else."""
    arrived: Manifest = json.loads(json.dumps(manifest))
    return arrived


def _without_status(kind: Kind, manifest: Manifest) -> Manifest:
    if kind in WITH_STATUS:
        manifest.pop("status", None)
    return manifest


def _owned(manifest: Manifest) -> set[Path]:
    return {
        path
        for path in leaves(manifest)
        if path
        and path[0] not in ("apiVersion", "kind")
        and not (path[0] == "metadata" and len(path) > 1 and path[1] in _UNOWNED)
    }


def _check_version(manifest: Manifest, resource_version: str | None) -> None:
    if resource_version not in (None, manifest["metadata"]["resourceVersion"]):
        raise Conflict(f"{manifest['metadata']['name']!r}: the object has been modified")


def _applied(
    stored: _Stored, wanted: Manifest, manager: str, force: bool
) -> tuple[dict[tuple[str, str], set[Path]], Manifest]:
    live = stored.manifest
    mine = (manager, "Apply")
    now_owned = _owned(wanted)
    owners = {who: set(paths) for who, paths in stored.owners.items()}
    before = owners.pop(mine, set())
    contested = {p for p in now_owned if value_at(live, p) != value_at(wanted, p)}
    for who, paths in owners.items():
        if not force and paths & contested:
            raise Conflict(f"conflict with {who[0]!r}: {sorted(map(str, paths & contested))}")
        paths -= contested
    after = merged(live, wanted)
    held = set().union(*owners.values()) if owners else set()
    after = without(after, before - now_owned - held)
    after["metadata"] = {**after["metadata"]}
    owners[mine] = now_owned
    return {who: paths for who, paths in owners.items() if paths}, after
